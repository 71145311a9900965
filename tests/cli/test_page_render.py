"""The status page as HTML: nothing of others is more than text, nothing is loaded, it stays small.

How it looks and moves in a browser is tested elsewhere.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from batchwatch.cli.page.overview import Sending
from batchwatch.cli.page.render import LISTED, render
from batchwatch.notify.wording import clean
from tests.cli import page_sample
from tests.cli.page_cards import DAY, HOUR, NOW, card, history
from tests.cli.page_sample import HOSTILE, LONG, RIGHT_TO_LEFT, overview

if TYPE_CHECKING:
    from batchwatch.cli.page.overview import Overview

_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "nav", "section"),
    *(
        "article",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "a",
        "b",
        "i",
        "br",
        "bdi",
        "span",
        "small",
    ),
    *("div", "ul", "ol", "li", "dl", "dt", "dd", "code", "time", "details", "summary", "figure"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "form", "label", "input", "select"),
    *("option", "output", "script", "svg", "symbol", "defs", "pattern", "use", "desc", "circle"),
    *("rect", "path", "line", "text"),
}
_ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "hidden", "scope"),
    *("role", "aria-hidden", "aria-label", "aria-labelledby", "datetime", "data-o", "data-v"),
    *("type", "autocomplete", "placeholder", "value", "viewbox", "width", "height", "x", "y", "x1"),
    *("x2", "y1", "y2", "cx", "cy", "r", "rx", "d", "dx", "patternunits", "patterntransform"),
}


_AB = str.maketrans("01", "ab")


class Page(HTMLParser):
    """What a page consists of, as a browser would read it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.inlined: dict[str, list[str]] = {"style": [], "script": []}
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and its attributes."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - as the parser calls it
        """Note that what follows is not of the last element."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Note a text."""
        if self._inside in self.inlined:
            self.inlined[self._inside].append(data)
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """Return what every attribute of that name says."""
        return [value for key, value in self.attributes if key == name]


@cache
def busy() -> tuple[str, Page]:
    """Return the page of a busy stack, and how a browser reads it."""
    text = render(page_sample.busy(120))
    return text, Page(text)


@pytest.mark.parametrize("of", [page_sample.busy(40), page_sample.hostile(), page_sample.empty()])
def test_a_page_has_no_element_and_no_attribute_but_those_of_the_template(of: Overview) -> None:
    page = Page(render(of))

    assert set(page.tags) <= _TAGS
    assert {name for name, _ in page.attributes} <= _ATTRIBUTES
    assert [page.tags.count(tag) for tag in ("script", "style", "html", "body", "main")] == [1] * 5


def test_what_others_wrote_is_there_as_text() -> None:
    page = Page(render(page_sample.hostile()))
    texts = "\n".join(page.texts)

    assert all(clean(text, 60).rstrip("…") in texts for text in (*HOSTILE, LONG, RIGHT_TO_LEFT))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", texts)


def test_ids_are_unique_and_every_link_leads_to_one() -> None:
    _, page = busy()
    ids = page.values("id")

    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in page.values("href")} <= set(ids)
    assert {name for each in page.values("aria-labelledby") for name in each.split()} <= set(ids)


def test_the_policy_lets_this_style_and_this_script_apply_and_nothing_else() -> None:
    page = Page(render(page_sample.hostile()))
    policy = next(each for each in page.values("content") if "default-src" in each)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def hashed(tag: str) -> str:
        text = "".join(page.inlined[tag])
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "style-src": hashed("style"),
        "script-src": hashed("script"),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_a_page_asks_nobody_for_anything() -> None:
    _, page = busy()
    style, script = ("".join(page.inlined[tag]) for tag in ("style", "script"))

    assert all(link.startswith("#") for link in page.values("href"))
    assert all(url.startswith("#") for url in re.findall(r"url\((.*?)\)", style))
    assert "@import" not in style
    assert not re.search("fetch|XMLHttp|import|localStorage|cookie|innerHTML|https?:", script)


def test_three_hundred_batches_take_less_than_400_kb() -> None:
    text = render(overview(history(300)))

    assert len(text.encode()) < 400_000
    assert text.count("<li data-o=") == LISTED
    assert f"{300 - LISTED} older batches are counted above and not listed" in text


def test_ten_thousand_batches_take_no_more() -> None:
    month = history(500)
    few, many = (len(render(overview(month * times)).encode()) for times in (1, 20))

    assert many < 400_000
    assert many < 1.15 * few


def test_texts_as_long_as_can_be_leave_a_page_that_can_be_mailed() -> None:
    absurd = dict.fromkeys(("name", "account", "model", "endpoint", "job"), "<&𝄞" * 200)
    facts = dict.fromkeys(map(str, range(16)), "<&𝄞" * 200)
    texts = ["<&𝄞" * 200] * 9
    cards = [
        card(each, **absurd, metadata=facts, problems=texts, what_next=texts, good=each % 2 == 0)
        for each in range(40)
    ]
    text = render(overview(cards * 3, jobs=[]))

    assert len(text.encode()) < 600_000
    assert "older batches are counted above and not listed" in text


def test_long_texts_are_cut_so_that_a_page_stays_readable() -> None:
    long = card(1, problems=[f"{number} {LONG}" for number in range(20)], good=False)
    text = render(overview([long._replace(metadata=dict.fromkeys(HOSTILE * 3 + ("a", "b"), LONG))]))

    assert "and 16 more" in text
    assert f"{LONG[:79]}…" in text
    assert LONG[:210] not in text.partition('id="list"')[2]


def test_the_headline_says_how_things_are() -> None:
    stalled = card(1, good=None, standing="stalled", ended=None, problems=("stalled",))
    going = card(2, good=None, standing="in progress", status="in_progress", ended=None)
    text = render(overview([stalled, going, card(3), card(4)]))

    assert "1 needs you, 2 batches under way.<" in text
    assert "4 batches made in the last 30 days: 2\u00a0ended well, 2\u00a0under way.<" in text


def test_a_job_that_goes_on_is_under_way() -> None:
    sending = Sending("job_1", "a.jsonl", "sending", None, NOW - 60, 3, 1, ())
    text = render(overview([card(1)], jobs=[sending]))

    assert "Nothing needs you, 1 job under way.<" in text
    assert "1 job under way: <a" in text
    assert "othing is under way" not in text


def test_a_bad_end_that_is_not_in_the_list_needs_attention_nevertheless() -> None:
    bad = card(1, good=False, standing="failed", status="failed", problems=("line 3",))
    lately = overview(since=NOW - 60, older=True, earlier=[bad])
    text = render(lately)

    assert "1 needs you" in text
    assert "line 3" in text
    assert "What ended badly in the last seven days, or is stuck." in text
    assert "there are older ones" in text
    assert "All is well" in render(lately._replace(earlier=[]))


def test_where_not_all_of_a_week_was_looked_through_it_says_so() -> None:
    text = render(overview([card(1)], looked=NOW - DAY))

    assert "of the batches made since 21 Nov, 03:01 none ended badly" in text
    assert "All is well" not in text


def test_alarms_that_ring_are_named_with_the_way_out() -> None:
    text = render(overview([card(1)], alarms=["AccountRefused", "NoPolls"]))

    assert (
        "Alarms ring: AccountRefused, NoPolls. What to do: <code>batchwatch doctor</code>" in text
    )
    assert "larm rings" not in render(overview([card(1)]))


def test_facts_name_the_place_of_files_and_no_tokens_that_are_not_known() -> None:
    one = card(1, tokens_in=0, tokens_out=0, total=1, completed=1)
    text = render(overview([one]))

    assert "output archived as output.jsonl, 8.4 MB, 1,200 lines<br>" in text
    assert len(re.findall(r"in <code>s3://[^<]*/batch_[0-9a-f]+/</code>", text)) == 1
    assert "Tokens" not in text
    assert "1<i> request</i>" in text


def test_where_all_is_well_it_says_so() -> None:
    text = render(page_sample.calm())

    assert "Nothing needs you, nothing is under way.<" in text
    assert "All is well" in text


def test_an_empty_stack_tells_how_to_begin() -> None:
    text = render(page_sample.empty())

    assert "No batches in the last 30 days." in text
    assert "batchwatch submit requests.jsonl" in text
    assert "<figure>" not in text
    assert "Needs attention" not in text


def test_a_bad_end_of_two_weeks_ago_is_history() -> None:
    bad = card(1, good=False, status="failed", standing="failed", created=NOW - 15 * DAY)
    text = render(overview([bad._replace(ended=NOW - 15 * DAY + 60)]))

    assert "Nothing needs you" in text
    assert 'data-o="failed"' in text


def test_batches_that_fail_for_the_same_reason_stand_together() -> None:
    failed = [
        card(
            number,
            good=False,
            status="failed",
            standing="failed",
            problems=(f"line {number}: no custom_id",),
            what_next=(f"To follow it: batchwatch watch {number}",),
            id=f"{number}",
        )
        for number in range(90)
    ]
    text = render(overview(failed))

    assert "90 need you" in text
    assert text.count("<article>") == 1
    assert "90 alike" in text


def test_a_command_can_be_told_from_the_words_around_it() -> None:
    bad = card(
        1, good=False, standing="files lost", what_next=("Again: batchwatch archive batch_1",)
    )

    assert "Again: <code>batchwatch archive batch_1</code>" in render(overview([bad]))


def test_what_is_left_and_when_it_expires_is_said_of_a_batch_under_way() -> None:
    going = card(1, good=None, status="in_progress", standing="in progress", ended=None)
    text = render(overview([going._replace(seen=NOW, left=HOUR, completed=300, expires=NOW + DAY)]))

    assert "300 of 1,200 requests" in text
    assert 'expected <time datetime="2026-11-22T04:01:38Z" class="due">22 Nov, 04:01</time>' in text
    assert 'expires <time datetime="2026-11-23T03:01:38Z" class="due">' in text


def test_numbers_that_no_batch_can_have_do_not_break_the_page() -> None:
    absurd = card(1, total=10**5000, completed=10**5000, tokens_in=10**5000, cost=1e300)
    never = card(2, created=253_402_300_799.0, ended=1.0, expires=253_402_300_799.0)
    future = card(3, created=NOW + 9 * DAY, ended=NOW, cost=-1.0)

    ages = card(4, good=None, seen=1e18, left=1e300, expires=-1e300)

    assert render(overview([absurd, never, future, ages])).endswith("</html>")
    assert render(overview([card(4)], since=0.0)).endswith("</html>")
    assert render(overview([card(5)], since=NOW + 1)).endswith("</html>")


def test_a_job_that_waits_for_somebody_needs_attention() -> None:
    waits = Sending("job_1", "a.jsonl", "waiting", None, NOW - 60, 3, 1, ("refused",))
    asks = render(overview(jobs=[waits._replace(what_next=("Look after the key.",))]))

    assert "1 needs you" in asks
    assert '<p class="next">Look after the key.</p>' in asks
    assert "Nothing needs you" in render(overview(jobs=[waits]))


def test_what_costs_nobody_knows_how_much_is_told_of() -> None:
    of_day = card(1, model="gpt-5-mini-2025-08-07", priced="gpt-5-mini", cost=1.5)
    same = card(2, model="gpt-5-mini", priced="gpt-5-mini", cost=0.5)
    text = render(overview([of_day, same, card(3, model="mine", cost=None)]))

    assert "without 1 batch of unknown cost." in text
    assert "gpt-5-mini takes 100% of it." in text


def test_those_that_are_shown_nowhere_are_not_said_to_be_in_the_list() -> None:
    bad = [
        card(each, good=False, standing="failed", problems=(f"because of {each:b}".translate(_AB),))
        for each in range(300)
    ]
    text = render(overview(bad))

    assert "288 more need you. Below are the newest 250 batches" in text


def test_every_plot_can_be_read_as_words_and_as_a_table() -> None:
    text, _ = busy()
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)

    assert len(figures) == 5
    assert all("<table" in figure and "<caption>" in figure for figure in figures)
    assert all("<desc>" in figure for figure in figures[:4])
