"""What Slack shows of a digest: the worst first, within its limits, foreign text as written."""

from __future__ import annotations

from html import unescape
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from batchwatch.batch import Batch
from batchwatch.events import BatchEvent, make_event
from batchwatch.notify.blocks import COLOURS, IN_FULL, cut, slack_message
from batchwatch.notify.digest import Digest, Fact, Tone, digest_of
from local.simulator.slack import problems
from local.slack_view import DOCS, as_lines, as_svg
from tests.builders import CREATED, LONGEST_ID, errors, modest, odd_batches, read
from tests.sample_digest import JOB, job_event, jobs_digest, sample_digest, short_digest
from tests.test_schemas import jobs

if TYPE_CHECKING:
    from batchwatch.job_events import Event, JobEvent

NASTY = "<!channel> <@U1> <https://e.vil|here> @here & &lt; *b* _i_ ~s~ `c` :x: www.e.vil"
nasty = st.text("<>&*_~`@#:!|/[]() abß😀", min_size=1, max_size=200)


def event(batch: Batch, kind: str | None = None, account: str = "default") -> BatchEvent:
    """Tell of a batch."""
    return make_event(
        kind or f"batch.{batch.status}",
        batch,
        source="urn:batchwatch:batchwatch:default",
        account=account,
        status=batch.named_status,
        previous_status=None,
        sequence=3,
        now=CREATED + 9000,
        by="poller",
    )


def digest(*events: Event) -> Digest:
    """Put events together, without prices."""
    return digest_of(events, stack="batchwatch", bucket="a-bucket", price=lambda _: None)


def failed(name: str, message: str = "No.") -> Digest:
    """Give a digest of one batch that failed."""
    return digest(event(read("failed", metadata={"name": name}, errors=errors(message))))


def test_the_worst_comes_first_with_a_colour_by_how_bad_it_is() -> None:
    statuses = ["completed", "in_progress", "expired", "failed"]
    batches = [read(s, id=f"batch_{s}", request_counts=None) for s in statuses]
    shown = slack_message(digest(*map(event, batches)))

    tones = [Tone.BAD, Tone.WARNING, Tone.GOOD, Tone.NEUTRAL]
    assert [a["color"] for a in shown["attachments"]] == [COLOURS[tone] for tone in tones]
    assert "1 failed, 1 expired, 1 completed, 1 in progress" in shown["blocks"][0]["text"]["text"]


def test_a_thousand_batches_are_one_message_with_ten_in_full_and_the_rest_counted() -> None:
    statuses = ["cancelled"] * 997 + ["failed"] * 3
    batches = (read(status, id=f"batch_{n}") for n, status in enumerate(statuses))
    shown = slack_message(digest(*map(event, batches)))

    assert list(problems(shown)) == []
    assert len(shown["attachments"]) == IN_FULL + 1
    lines = as_lines(shown)
    assert sum("· failed" in line for line in lines) == 3
    more = "… and 990 more: 990 cancelled; s3://a-bucket/events/ has them all"
    assert lines[-1] == f"▌ {more}"


def test_longer_batches_are_fewer_so_that_slack_takes_them_all() -> None:
    long = {"id": LONGEST_ID, "errors": errors(*["&" * 400] * 9), "metadata": {"name": "<" * 99}}
    shown = slack_message(
        digest(*(event(read("failed", **long), account=f"a{n}") for n in range(30)))
    )

    assert list(problems(shown)) == []
    assert 2 <= len(shown["attachments"]) < IN_FULL
    told = len(shown["attachments"]) - 1
    assert f"and {30 - told} more: {30 - told} failed;" in as_lines(shown)[-1]


def test_too_many_facts_and_kinds_are_cut_so_that_slack_takes_them() -> None:
    kinds = [event(read(f"status {n} {'x' * 20}", id=f"b{n}"), "batch.odd") for n in range(9)]
    made = digest(*kinds)
    facts = tuple(Fact(f"Fact {n}", "&" * 300) for n in range(20))
    full = made.entries[0]._replace(facts=facts)
    shown = slack_message(made._replace(entries=(full, *made.entries[1:])))

    assert list(problems(shown)) == []
    assert shown["blocks"][0]["text"]["text"].endswith("…")


@given(st.text("a& ", max_size=40), st.integers(2, 40))
@modest
def test_what_is_cut_has_its_limit_and_no_broken_escape(text: str, limit: int) -> None:
    shown = cut(text, limit)
    assert len(shown) <= limit
    assert unescape(shown.removesuffix("…")) == text[: len(unescape(shown.removesuffix("…")))]


def test_a_digest_of_nothing_is_a_message_nevertheless() -> None:
    assert list(problems(slack_message(digest()))) == []


def test_markup_in_names_and_reasons_is_shown_as_it_was_written() -> None:
    shown = slack_message(failed(NASTY[:80], NASTY))

    assert list(problems(shown)) == []
    lines = as_lines(shown)
    assert f"▌ {NASTY[:80].replace('`', chr(39))} · failed" in lines
    assert any(NASTY.replace("`", "'") in line for line in lines)


def test_markup_in_a_status_is_shown_as_it_was_written() -> None:
    status = "*on* <!here> ~off~ @a"
    shown = slack_message(digest(event(read(status), "batch.in_progress")))

    assert list(problems(shown)) == []
    lines = as_lines(shown)
    assert (lines[0], lines[3]) == (f"Batches: 1 {status}", f"▌ nightly · {status}")


@given(nasty, nasty)
@modest
def test_no_foreign_text_formats_mentions_or_links(name: str, message: str) -> None:
    made = failed(name, message)
    shown = slack_message(made)

    assert list(problems(shown)) == []
    assert (shown["unfurl_links"], shown["unfurl_media"]) == (False, False)
    assert not {"link_names", "parse"} & set(shown)
    assert str(shown).count("'mrkdwn'") == str(shown).count("'verbatim': True")
    title = made.entries[0].title.replace("`", "'")
    assert f"▌ {title} · failed" in as_lines(shown)


@given(
    st.lists(st.tuples(odd_batches(), st.sampled_from(["", "lost", "stalled"])), max_size=5),
    st.lists(jobs(), max_size=3),
)
@modest
def test_whatever_is_told_slack_takes_it(
    odd: list[tuple[dict[str, Any], str]], of_jobs: list[JobEvent]
) -> None:
    events = [event(Batch.read(said), f"batch.{kind}" if kind else None) for said, kind in odd]
    assert list(problems(slack_message(digest(*events, *of_jobs)))) == []


def test_jobs_are_told_with_their_file_their_parts_and_their_id() -> None:
    shown = slack_message(jobs_digest())

    assert list(problems(shown)) == []
    lines = as_lines(shown)
    assert "▌ products.jsonl · job completed with errors" in lines
    assert "▌ Requests 59,988 of 60,000 succeeded, 12 failed · Parts 2 completed" in lines
    assert any(line.endswith(f"/v1/responses   {JOB(3)}") for line in lines)
    assert COLOURS[Tone.GOOD] == shown["attachments"][-1]["color"]


@given(nasty, nasty)
@modest
def test_no_name_of_a_file_and_no_reason_formats_mentions_or_links(name: str, why: str) -> None:
    made = digest(job_event("refused", file=name, reason=why, report=f"s3://b/{name}"))
    shown = slack_message(made)

    assert list(problems(shown)) == []
    title = made.entries[0].title.replace("`", "'")
    assert f"▌ {title} · job refused" in as_lines(shown)


def test_the_pictures_in_the_docs_are_what_is_sent() -> None:
    """`uv run python -m local.slack_view` renews them."""
    for name, shown in {"slack": sample_digest(), "slack-short": short_digest()}.items():
        assert (DOCS / f"{name}.svg").read_text() == as_svg(slack_message(shown))
