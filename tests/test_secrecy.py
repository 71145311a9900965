"""A key and the text of a prompt, planted wherever trouble comes from: neither gets out.

Allowed: a batch's own `errors` in what is announced of it, a message that is moved as it is, and a
refused key's message, in which the prompt has no place.

Looked at: the log at DEBUG with its tracebacks, what libraries warn of, what a function returns,
raises or prints (metrics), messages, queues, the table, and the bucket but for archived files.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import socketserver
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from batchwatch.telemetry import logger
from local.simulator import Script, SimulatedOpenAI
from tests.handlers import Handlers
from tests.world import ACCOUNT, Clock, World, as_lambda_sees, aws_in_memory, build

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

KEYS = {"OpenAI's": "sk-canary-3f9a77e2b94a60c1", "another's": "canary.5d21c8b94e77f0a3"}
PROMPT = "How do I tell Ms Quilligan that Heron-4471 failed"
BOTH = "{key} / " + PROMPT
SCRIPT = Script(name="b", endpoint="/v1/responses", requests=5, ends="completed", failed=1)


class Overheard:
    """All that a test hears of the service; stands in for capsys to keep what was printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.texts: list[str] = []
        self._capsys = capsys

    def readouterr(self) -> Any:
        """Hand on what was printed, and keep it."""
        said = self._capsys.readouterr()
        self.texts += said
        return said


class Spied:
    """A world that has the key, its functions as Lambda calls them, and an ear at every wall."""

    def __init__(self, key: str, world: World, handlers: Handlers, heard: Overheard) -> None:
        self.key, self.world, self.openai = key, world, world.openai
        self._handlers, self._heard = handlers, heard

    def both(self, text: str) -> str:
        """Put the key into a text."""
        return text.replace("{key}", self.key)

    def secret(self, account: str = ACCOUNT, **fields: Any) -> None:
        """Fill in the secret with one account."""
        self.world.put_secret(json.dumps({"accounts": {account: {"api_key": self.key} | fields}}))

    def ended(self, script: Script = SCRIPT) -> str:
        """Watch a batch that has ended long ago."""
        batch_id = self.openai.add(script, created_at=self.world.clock.now - 5000)
        self.world.runtime.ledger.register(ACCOUNT, batch_id)
        return batch_id

    def call(self, name: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Invoke a function; Lambda logs what it raises."""
        result: dict[str, Any] = {}
        try:
            result = self._handlers(name, event).result
        except Exception as error:  # noqa: BLE001 - looked at like all else
            self._heard.texts.append("".join(traceback.format_exception(error)))
        stream = logger.registered_handler.stream  # type: ignore[attr-defined]
        self._heard.texts += [json.dumps(result), *stream.getvalue().splitlines()]
        return result

    def archive(self) -> None:
        """Work off the queue once; what is not done stays there."""
        queue = self.world.environment["BATCHWATCH_ARCHIVE_QUEUE"]
        waiting: list[Any] = []
        while some := self.world._receive(queue):
            waiting += some
        records = [as_lambda_sees(message) for message in waiting]
        result = self.call("archiver", {"Records": records}) if records else {}
        left = {item["itemIdentifier"] for item in result.get("batchItemFailures", [])}
        for message in waiting:
            if result and message["MessageId"] not in left:
                self.world._delete(queue, message)

    def drop(self, name: str, content: bytes, options: dict[str, Any]) -> None:
        """Put a file into the inbox, and what is wanted of it."""
        key, said = f"inbox/{name.removesuffix('.jsonl')}.options.json", json.dumps(options)
        self.world.runtime.s3.put_object(Bucket="bucket", Key=key, Body=self.both(said).encode())
        self.world.drop(name, content)

    def submit(self) -> None:
        """Let the inbox queue be worked off."""
        queue = self.world.environment["BATCHWATCH_INBOX_QUEUE"]
        records = [as_lambda_sees(message) for message in self.world._receive(queue)]
        self.call("submitter", {"Records": records})

    def live(self) -> None:
        """Poll and archive, as often as a file may come out wrong and once more."""
        for _ in range(4):
            self.call("poller")
            self.archive()

    def kept(self, *, prompt_in: Container[str] = (), key_in: Container[str] = ()) -> bool:
        """Whether key and prompt can be read nowhere but in the places that may hold them."""
        objects = self.world.objects()
        table = self.world.runtime.dynamodb.scan(TableName="ledger")["Items"]
        jobs = self.world.runtime.dynamodb.scan(TableName="jobs")["Items"]
        places = {
            "log": self._heard.texts,
            "job": [json.dumps(job) for job in jobs],
            "message": self.world.messages(),
            "order": [json.dumps(order) for order in self.world.drop_orders()],
            "dead letter": self.world.dead_letters(),
            "item": [json.dumps(item) for item in table],
            "key of an object": list(objects),
            "kept event": [v.decode() for k, v in objects.items() if k.startswith("events/")],
        }
        wanted = (("key", self.key, key_in), ("prompt", PROMPT, prompt_in))
        leaks = {
            f"{what} in {place} after: {words}"
            for what, text, allowed in wanted
            for place, texts in places.items()
            for said in texts
            if place not in allowed and (words := before(text, said)) is not None
        }
        if leaks:
            raise AssertionError("\n".join(sorted(leaks)))
        return True


def before(text: str, said: str) -> str | None:
    """The words that lead to a text in any of its forms, without ids; None: it is not there."""
    found = [said.index(form) for form in forms(text) if form in said]
    if not found:
        return None
    words = " ".join(said[: min(found)].split())
    return re.sub(r"(batch_|file-)[A-Za-z0-9]{20,}", r"\1…", words)[-70:]


def forms(text: str) -> set[str]:
    """A text as it is, its end, and its base64 wherever in a longer text it begins."""
    encoded = {base64.b64encode(b" " * n + text.encode())[4:-4].decode() for n in range(3)}
    return {text, text[-8:], *encoded}


@pytest.fixture(params=["OpenAI's", pytest.param("another's", marks=pytest.mark.full)])
def spied(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Spied]:
    """Nothing is done yet; the key is in the secret."""
    key, clock, heard = KEYS[request.param], Clock(), Overheard(capsys)
    logger.setLevel(logging.DEBUG)
    with aws_in_memory(), SimulatedOpenAI(key=key, clock=clock) as openai:
        world = build(openai, clock)
        # A file that is not there is gone at once, and what was not done comes back at once.
        world.environment |= {"BATCHWATCH_GRACE": "0", "BATCHWATCH_LONGEST_RETRY": "0"}
        world.runtime.sqs.set_queue_attributes(
            QueueUrl=world.environment["BATCHWATCH_ARCHIVE_QUEUE"],
            Attributes={"VisibilityTimeout": "30"},
        )
        spied = Spied(key, world, Handlers(world, monkeypatch, heard), heard)  # type: ignore[arg-type]
        spied.secret(base_url=openai.base_url)
        yield spied
        assert openai.errors == []
        world.stop()
    logger.setLevel(logging.INFO)
    assert not any(form in caplog.text for text in (key, PROMPT) for form in forms(text))


REFUSED = "Incorrect API key provided: {key}."


def error(**fields: str) -> str:
    """An error in OpenAI's form."""
    plain = {"message": BOTH, "type": "invalid_request_error", "param": None, "code": "odd"}
    return json.dumps({"error": {**plain, **fields}})


ANSWERS: dict[str, dict[str, Any]] = {
    **{f"{status}": {"status": status, "body": error()}
       for status in (400, 404, 409, 416, 429, 500, 503)},
    "403": {"status": 403, "body": error(message=REFUSED)},
    "every field of an error": {"status": 400, "body": error(type=BOTH, param=BOTH, code=BOTH)},
    "an error that is text": {"status": 400, "body": json.dumps({"error": BOTH})},
    "HTML with 502": {"status": 502, "body": f"<html>{BOTH}</html>"},
    "HTML with 200": {"status": 200, "body": f"<html>{BOTH}</html>"},
    "a redirect": {"status": 302, "body": BOTH, "headers": {"location": "/v1/{key}"}},
    "JSON that ends early": {"status": 200, "body": json.dumps({"id": BOTH})[:-1]},
    "a string": {"status": 200, "body": json.dumps(BOTH)},
    "a list": {"status": 200, "body": json.dumps([BOTH])},
    "an object of other names": {"status": 200, "body": json.dumps({BOTH: 1, PROMPT: 2})},
    "a strange type": {"status": 200, "body": "{", "headers": {"content-type": BOTH}},
    "headers": {"status": 500, "body": "", "headers": {"x-request-id": BOTH, "server": BOTH}},
}  # fmt: skip
EDITS: dict[str, dict[str, Any]] = {
    "an id that is text": {"edit": {"id": BOTH}},
    "an id that is a key": {"edit": {"id": "{key}"}},
    "no size": {"edit": {"bytes": BOTH}},
    "another size": {"edit": {"bytes": 7, "filename": BOTH}},
}
PLACES = {
    "batch": ("/v1/batches/{batch}$", {**ANSWERS, **dict(list(EDITS.items())[:2])}),
    "file": ("/v1/files/{file}$", {**ANSWERS, **EDITS}),
    "content": ("/v1/files/{file}/content", {**ANSWERS, "cut off": {"cut_after": 100}}),
}


@pytest.mark.parametrize(
    "place",
    ["batch", *(pytest.param(place, marks=pytest.mark.full) for place in ("file", "content"))],
)
def test_what_the_api_answers_is_not_repeated(spied: Spied, place: str) -> None:
    match, answers = PLACES[place]
    for answer in answers.values():
        batch_id = spied.ended()
        file_id = spied.openai.batch(batch_id)["output_file_id"]
        if place == "batch":
            spied.openai.listing.hidden.add(batch_id)  # so that it is asked for singly
        wrong(spied, match.replace("{batch}", batch_id).replace("{file}", file_id), answer)

    spied.live()

    assert spied.kept()


LISTED: dict[str, Any] = {
    "a row that is text": BOTH,
    "a row of other names": {BOTH: PROMPT},
    "an id that is text": {"id": BOTH, "status": "completed"},
    "an id that is a key": {"id": "{key}", "status": BOTH},
    "a status that is text": {"id": "batch_1", "status": "completed", "created_at": BOTH},
}


def test_what_the_list_answers_is_not_repeated(spied: Spied) -> None:
    spied.ended()
    for answer in ANSWERS.values():
        wrong(spied, r"GET /v1/batches\?", {**answer, "times": 1})
        spied.call("poller")
    for name, row in LISTED.items():
        if name == "an id that is a key" and not spied.key.startswith("sk-"):
            continue  # any other may be an id
        told = json.loads(spied.both(json.dumps(row)))
        spied.openai.listing.edit_row = lambda _, told=told: told
        spied.call("poller")

    assert spied.kept(prompt_in=("item", "message", "kept event"), key_in=("item", "message"))


def test_who_refuses_the_key_may_quote_it(spied: Spied) -> None:
    spied.ended()
    for body in (error(message=REFUSED), json.dumps({"error": REFUSED}), f"<html>{BOTH}</html>"):
        refusal = {"status": 401, "body": body, "times": 1}
        wrong(spied, "/v1/batches/", refusal)
        spied.call("poller")
        spied.call("poller")
        wrong(spied, "/v1/files/", refusal)
        spied.archive()

    assert spied.kept()


def wrong(spied: Spied, match: str, answer: dict[str, Any]) -> None:
    """Let answers go wrong, without a wait before they are asked for again."""
    kind = {"times": -1, **json.loads(spied.both(json.dumps(answer)))}
    if "edit" in kind:
        changes = kind.pop("edit")
        kind["edit"] = lambda said: said.update(changes)
    if "status" in kind:
        kind["body"] = kind["body"].encode()
        kind["headers"] = {"x-should-retry": "false", **kind.get("headers", {})}
    spied.openai.fault(match, **kind)


RAW = (
    "",
    BOTH,
    f"HTTP/1.1 {BOTH}\r\n\r\n",
    f"HTTP/1.1 502 {BOTH}\r\nx-should-retry: false\r\ncontent-length: 0\r\n\r\n",
    f"HTTP/1.1 200 OK\r\n{BOTH}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\ncontent-length: {BOTH}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n{BOTH}",
    f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{BOTH}\r\n",
)
"""What somebody in between sends in place of an answer."""


def test_what_is_no_http_is_not_repeated(spied: Spied) -> None:
    with sending([spied.both(text).encode() for text in RAW]) as origin:
        accounts = {
            f"{n}": {"api_key": spied.key, "base_url": f"{origin}/{n}"} for n in range(len(RAW))
        }
        accounts["closed"] = {"api_key": spied.key, "base_url": "http://127.0.0.1:1/" + spied.key}
        spied.world.put_secret(json.dumps({"accounts": accounts}))
        for account in accounts:
            spied.world.runtime.ledger.register(account, "batch_1")

        spied.call("poller")

    assert spied.kept()


@contextmanager
def sending(answers: list[bytes]) -> Iterator[str]:
    """Answer a request for /N/… with the bytes of answer N."""

    class Sender(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            number = self.rfile.readline().split(b"/")[1]
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answers[int(number)])

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sender) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


SECRETS = (
    BOTH,
    json.dumps(BOTH),
    json.dumps({"accounts": BOTH}),
    json.dumps({"api_key": "{key}"}),
    json.dumps({"accounts": {"{key}": {"api_key": "{key}"}}}),
    json.dumps({"accounts": {BOTH: BOTH}}),
    json.dumps({"accounts": {ACCOUNT: "{key}"}}),
    json.dumps({"accounts": {ACCOUNT: {"api_key": BOTH + "\n"}}}),
    json.dumps({"accounts": {ACCOUNT: {"api_key": "{key}", "project": BOTH}}}),
    *(
        json.dumps({"accounts": {ACCOUNT: {"api_key": "{key}", "base_url": url}}})
        for url in ("{key}", "http://{key}.example", "https://a:{key}@b.example", "https://[{key}")
    ),
    json.dumps({"accounts": {ACCOUNT: {"api_key": "{key}", "base_url": ["{key}"]}}}),
    json.dumps({"accounts": {ACCOUNT: {"api_key": "{key}", "organization": ["{key}"]}}}),
)


def test_a_secret_that_cannot_be_used_is_not_shown(spied: Spied) -> None:
    spied.ended()
    spied.call("poller")
    for secret in SECRETS:
        spied.world.put_secret(spied.both(secret))
        spied.call("poller")
        spied.archive()

    assert spied.kept()


ROWS: tuple[dict[str, Any], ...] = (
    {"v": {"S": BOTH}},
    {"v": {"N": "1"}, "outbox": {"L": [{"S": BOTH}]}},
    {"v": {"N": "1"}, "outbox": {"M": {"1": {"S": BOTH}}}},
    {"v": {"N": "1"}, "outbox": {"M": {"1": {"S": json.dumps({"id": BOTH})}}}},
    {"v": {"N": "1"}, "outbox": {"M": {BOTH: {"S": "{}"}}}},
    {"v": {"N": "1"}, "status": {"S": BOTH}},
    {"v": {"N": "1"}, "status": {"S": "completed"}, "batch": {"S": BOTH}},
    {"v": {"N": "1"}, "status": {"S": "completed"}, "files": {"M": {BOTH: {"S": BOTH}}}},
    {"v": {"N": "1"}, "status": {"S": "completed"}, "outbox": {"M": {"1": {"S": "{}"}}},
     "batch": {"S": json.dumps({"id": 1, "metadata": {"prompt": BOTH}})}},
)  # fmt: skip


def test_a_row_that_cannot_be_read_is_not_shown(spied: Spied) -> None:
    for number, row in enumerate(json.loads(spied.both(json.dumps(ROWS)))):
        names = {"account": {"S": ACCOUNT}, "open": {"S": ACCOUNT}}
        item = {**names, "batch_id": {"S": f"batch_{number}"}, **row}
        spied.world.runtime.dynamodb.put_item(TableName="ledger", Item=item)
        order = json.dumps({"subject": f"batch_{number}", "data": {"account": ACCOUNT}})
        queue = spied.world.environment["BATCHWATCH_ARCHIVE_QUEUE"]
        spied.world.runtime.sqs.send_message(QueueUrl=queue, MessageBody=order)

    spied.live()

    assert spied.kept(prompt_in={"item"}, key_in={"item"})


MESSAGES = (
    BOTH,
    json.dumps(BOTH),
    json.dumps({"subject": BOTH, "data": {"account": ACCOUNT}}),
    json.dumps({"subject": "batch_1", "data": {"account": BOTH}}),
    json.dumps({"subject": 1, "data": {BOTH: BOTH}}),
)


def test_a_message_that_is_no_order_is_not_shown(spied: Spied) -> None:
    queue = spied.world.environment["BATCHWATCH_ARCHIVE_QUEUE"]
    for body in MESSAGES:
        spied.world.runtime.sqs.send_message(QueueUrl=queue, MessageBody=spied.both(body))

    spied.live()

    with pytest.raises(AssertionError) as found:  # moved as they are; so nothing is missed
        spied.kept()
    places = {line.split(" after:")[0] for line in str(found.value).splitlines()}
    assert places == {"key in dead letter", "prompt in dead letter"}


@pytest.mark.parametrize("spied", ["OpenAI's"], indirect=True)  # any other may be an id
@pytest.mark.parametrize("pasted", ["{key}", BOTH], ids=["key", "text"])
def test_a_key_or_text_that_somebody_took_for_an_id_is_not_logged(
    spied: Spied, pasted: str
) -> None:
    text = spied.both(pasted)
    names = {"account": {"S": ACCOUNT}, "open": {"S": ACCOUNT}, "batch_id": {"S": text}}
    spied.world.runtime.dynamodb.put_item(TableName="ledger", Item=names)
    queue = spied.world.environment["BATCHWATCH_ARCHIVE_QUEUE"]
    for subject, account in ((text, ACCOUNT), ("batch_1", text)):
        order = json.dumps({"subject": subject, "data": {"account": account}})
        spied.world.runtime.sqs.send_message(QueueUrl=queue, MessageBody=order)

    spied.live()

    planted = {"item", "order", "dead letter"}
    assert spied.kept(prompt_in=planted, key_in=planted)


def test_no_word_of_a_dropped_file_is_repeated(spied: Spied) -> None:
    """Bad lines are its owner's: they are set aside in the bucket, and nowhere else."""
    body = {"model": "gpt-5-mini", "input": BOTH}
    good = {"custom_id": BOTH, "method": "POST", "url": "/v1/responses", "body": body}
    bad = [{**good, "url": BOTH}, {**good, "body": {"model": "m" * 300, "input": BOTH}}, BOTH, good]
    lines = [spied.both(json.dumps(line)) for line in (good, *bad)]
    content = "\n".join([*lines, lines[0][:-1], spied.both(BOTH)]).encode()
    options: list[dict[str, Any]] = [
        {},
        {"on_bad_lines": "refuse"},
        {BOTH: 1},
        {"account": BOTH},
        {"metadata": BOTH},
    ]
    for number, said in enumerate(options):
        spied.drop(f"{number}.jsonl", content, said)
    spied.openai.fault("POST /v1/files", status=400, body=spied.both(error()).encode())
    spied.drop("refused.jsonl", lines[0].encode(), {})
    spied.drop("bare.jsonl", spied.both(BOTH).encode(), {})

    for _ in range(2):
        spied.submit()
        spied.call("submitter", {})
    spied.world.clock.now += 60
    spied.live()
    spied.call("submitter", {})

    assert spied.kept()


@pytest.mark.parametrize("start", range(3))
def test_a_text_is_found_in_base64_wherever_it_begins(start: int) -> None:
    encoded = base64.b64encode(b"x" * start + PROMPT.encode() + b"yy").decode()

    assert before(PROMPT, f"Basic {encoded}") is not None
    assert before(PROMPT, "Basic eHh4") is None


@pytest.mark.parametrize(
    "missing",
    [
        "",
        "TOPIC",
        *(pytest.param(m, marks=pytest.mark.full) for m in ("BUCKET", "TABLE", "SECRET")),
    ],
)
def test_what_a_batch_says_of_its_own_errors_is_announced_but_not_logged(
    spied: Spied, missing: str
) -> None:
    batch_id = spied.ended(Script(name="b", endpoint="/v1/responses", requests=5, ends="failed"))
    errors = {"data": [{"message": PROMPT, "code": "invalid_request", "line": 1}]}
    spied.openai.fault(batch_id, times=-1, edit=lambda said: said.update(errors=errors))
    spied.call("poller")
    other = spied.ended(Script(name="c", endpoint="/v1/responses", requests=5, ends="failed"))
    spied.openai.fault(other, times=-1, edit=lambda said: said.update(errors=errors))
    with pytest.MonkeyPatch.context() as broken:
        if missing:
            broken.setitem(spied.world.environment, f"BATCHWATCH_{missing}", "not-there")
        spied.live()

    announced = {"item", "message", "kept event", "order"}
    assert spied.kept(prompt_in=announced)
