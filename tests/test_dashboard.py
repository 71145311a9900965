"""The dashboard and the questions of docs/operations.md: they ask for what is there."""

from __future__ import annotations

import io
import json
import re
import time
from collections import Counter, defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.report import Report
from batchwatch.telemetry import logger, metrics, tell
from local.deploy import ROOT
from local.simulator import Script
from tests.documents import TEXT, questions
from tests.handlers import sample
from tests.signed import SECRET, webhook
from tests.test_template import ALARMS, FUNCTIONS, RESOURCES, TEMPLATE
from tests.world import ACCOUNT, KEY

if TYPE_CHECKING:
    from tests.handlers import Handlers
    from tests.world import World

NATIVE = {  # of AWS: the metrics and the dimension of each namespace, and what it names
    "AWS/Lambda": (
        {"Duration", "Errors", "Throttles"},
        "FunctionName",
        "AWS::Serverless::Function",
    ),
    "AWS/SQS": (
        {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
        "QueueName",
        "AWS::SQS::Queue",
    ),
    "AWS/SNS": ({"NumberOfMessagesPublished"}, "TopicName", "AWS::SNS::Topic"),
}
SOURCES = [ROOT / "layers/core/batchwatch/telemetry.py", *(ROOT / "functions").glob("*.py")]
OURS = {n for s in SOURCES for n in re.findall(r'add_metric\(\s*"(\w+)"', s.read_text())}
WORDS = {"filter", "stats", "sort", "fields", "display", "limit", "by", "as", "and", "or", "asc"}
WORDS |= {"desc", "like", "count", "sum", "max", "pct", "latest", "bin", "ispresent"}
DISCOVERED = {"@timestamp", "@message", "@logStream"}
ENDED = Script(name="b", endpoint="/v1/responses", requests=9, failed=1, ends="completed")


def body(*, everything: bool) -> list[dict[str, Any]]:
    """Give the widgets of a stack with all of its options, or none; names stay as they are."""
    text, options = RESOURCES["DashboardOfStack"]["Properties"]["DashboardBody"].value
    for name, said in options.items():
        _, wanted, otherwise = said.value
        text = text.replace(f"${{{name}}}", wanted.value if everything else otherwise)
    return list(json.loads(text)["widgets"])


def measured() -> list[list[Any]]:
    return [m for each in body(everything=True) for m in each["properties"].get("metrics", [])]


def test_widgets_lie_side_by_side_on_24_columns() -> None:
    places = [
        tuple(each[n] for n in ("x", "y", "width", "height")) for each in body(everything=True)
    ]

    for (x, y, w, h), (other_x, other_y, other_w, other_h) in combinations(places, 2):
        beside = x + w <= other_x or other_x + other_w <= x
        assert beside or y + h <= other_y or other_y + other_h <= y
    assert max(x + width for x, _, width, _ in places) == 24
    area = sum(width * height for *_, width, height in places)
    assert area == 24 * max(y + height for _, y, _, height in places)  # and no hole


def test_each_widget_has_a_title_and_the_region_of_the_stack() -> None:
    for each in body(everything=True):
        said = each["properties"]
        assert each["type"] == "text" or said["title"]
        assert each["type"] in {"text", "alarm"} or said["region"] == "${AWS::Region}"


def test_there_are_five_metrics_of_our_own_as_each_costs() -> None:
    assert len(OURS) == 5
    assert {a["MetricName"] for a in ALARMS.values() if a["Namespace"] == "batchwatch"} == OURS


def test_each_metric_is_told_and_speaks_of_something_in_this_stack() -> None:
    names = [metric[:2] for metric in measured()]

    for namespace, metric, dimension, value, *_ in measured():
        if namespace == "batchwatch":
            assert metric in OURS
            assert (dimension, value) == ("service", "${AWS::StackName}")
        else:
            known, by, kind = NATIVE[namespace]
            assert (metric in known, dimension) == (True, by)
            name, _, attribute = value.removeprefix("${").removesuffix("}").partition(".")
            assert RESOURCES[name]["Type"] == kind
            assert attribute == ("" if kind == "AWS::Serverless::Function" else by)
    assert all(
        [namespace, metric] in names for namespace in NATIVE for metric in NATIVE[namespace][0]
    )


def test_every_alarm_function_and_dead_letter_queue_is_shown() -> None:
    (alarms,) = [e["properties"]["alarms"] for e in body(everything=True) if e["type"] == "alarm"]
    named = {value for *_, value in (metric[:4] for metric in measured())}

    assert Counter(alarms) == Counter(f"${{{name}.Arn}}" for name in ALARMS)
    assert {f"${{{name}}}" for name in FUNCTIONS} <= named
    dead = {n for n, r in RESOURCES.items() if r["Type"] == "AWS::SQS::Queue" and "Dead" in n}
    assert {f"${{{name}.QueueName}}" for name in dead} <= named


def test_what_is_not_deployed_is_not_shown() -> None:
    text = json.dumps(body(everything=False))

    names = {name.partition(".")[0] for name in re.findall(r"\$\{([A-Za-z.]+)\}", text)}
    assert [name for name in names if "Condition" in RESOURCES[name]] == []


def test_a_poll_is_cut_off_where_the_dashboard_says() -> None:
    (line,) = [
        line
        for each in body(everything=True)
        for line in each["properties"].get("annotations", {}).get("horizontal", [])
    ]

    assert line["value"] == 1000 * FUNCTIONS["Poller"]["Properties"]["Timeout"]
    assert f"{line['value']:,}" in TEXT


def test_the_dashboard_asks_the_log_what_the_document_asks() -> None:
    asked = {
        each["properties"]["title"]: each["properties"]["query"]
        for each in body(everything=True)
        if each["type"] == "log"
    }

    assert asked == {q.title: f"SOURCE '${{Logs}}' | {q.query}" for q in questions() if q.shown}
    assert "costs 3 dollars a month" in TEMPLATE["Parameters"]["Dashboard"]["Description"]


def test_each_question_asks_for_what_functions_log(world: World, invoke: Handlers) -> None:
    logged = fields_of(lines(world, invoke))

    for question in questions():
        told = set(re.findall(r"message = '([^']+)'", question.query))
        names = fields_in(question.query)
        known = set().union(*(logged[message] for message in told))
        assert names <= known | DISCOVERED, (question.title, names - known)
        assert told or names <= DISCOVERED


def lines(world: World, invoke: Handlers) -> list[dict[str, Any]]:
    """Give what is logged of an end, of webhooks, of a refused key and of a hurried poll."""
    good = {"api_key": KEY, "base_url": world.openai.base_url, "webhook_secrets": [SECRET]}
    bad = {"api_key": "sk-wrong", "base_url": world.openai.base_url}
    world.put_secret(json.dumps({"accounts": {ACCOUNT: good, "bad": bad}}))
    batch = world.openai.add(ENDED, created_at=world.clock.now - 9000)
    world.runtime.ledger.register(ACCOUNT, batch)
    logged = invoke("poller").log
    order = json.dumps({"account": ACCOUNT, "batch_id": batch})
    (message,) = sample("archiver")["Records"]
    logged += invoke("archiver", {"Records": [message | {"body": order}]}).log
    logged += invoke("webhook").log
    logged += invoke("webhook", webhook("batch_of_a_test", time.time())).log
    hurried = io.StringIO()
    logger.registered_handler.setStream(hurried)  # type: ignore[attr-defined]
    tell(Report(left=1, repairs=Counter(Outbox=1, Order=1, Index=1)), "polled", open=1)
    metrics.clear_metrics()
    return [*logged, *map(json.loads, hurried.getvalue().splitlines())]


def fields_of(logged: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Give the fields that lines have, by their message."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in logged:
        found[line["message"]] |= line.keys()
    return found


def fields_in(query: str) -> set[str]:
    """Give the fields that a query reads: no words of the language, values, or names it gives."""
    bare = re.sub(r"'[^']*'|/[^/]*/|\b\d+[a-z]?\b", " ", query)
    given = set(re.findall(r" as (\w+)", bare))
    return set(re.findall(r"@?[A-Za-z_]\w*", bare)) - WORDS - given


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("filter message = 'a b' | stats sum(bytes) as all by bin(1h)", {"message", "bytes"}),
        ("fields @timestamp | filter @message like /x y/ | limit 5", {"@timestamp", "@message"}),
    ],
)
def test_the_fields_of_a_query_are_told_from_its_words(query: str, read: set[str]) -> None:
    assert fields_in(query) == read
