"""What `batchwatch doctor` does: it makes all checks, or asks the API, and prints what it found."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from batchwatch.accounts import read_accounts
from batchwatch.cli.checks import deployment, left_over, listeners, secret, webhook
from batchwatch.cli.checks.finding import Check, Finding, State, examined
from batchwatch.cli.checks.probe import Probe, small_file
from batchwatch.cli.checks.together import together
from batchwatch.cli.checks.visit import Visit
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.errors import AccessError
from batchwatch.notify.wording import clean, plural, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.account import Account
    from batchwatch.cli.checks.meaning import Answer
    from batchwatch.cli.output import Output
    from batchwatch.cli.stack import Stack

_MARK = {State.OK: "✓", State.WARNING: "!", State.PROBLEM: "✗", State.NOT_CHECKED: "?"}
_STYLE = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "red", State.NOT_CHECKED: ""}


def _checks(stack: Stack, *, test_event: bool) -> list[Check]:
    return [
        Check("clock", deployment.clock),
        Check("stack", deployment.deployed),
        Check("version", deployment.release),
        Check("schedule", deployment.schedules, "sam build && sam deploy"),
        Check("last poll", deployment.last_poll),
        Check("log", deployment.set_aside),
        Check("secret", secret.secret),
        Check("keys", secret.keys),
        Check("accounts", secret.left_behind),
        Check("webhook", webhook.address),
        *([Check("webhook's answer", webhook.test_event)] if test_event else []),
        Check("email", listeners.email),
        Check("listeners", listeners.events),
        Check("alarms' listeners", listeners.alarms),
        Check("alarms", left_over.alarms),
        *left_over.queues(stack),
        Check("archive", left_over.archive),
        Check("bucket", deployment.bucket),
    ]


def examine(stack: Stack, out: Output, *, test_event: bool) -> Code | None:
    """Make all checks side by side; show each as soon as those before it are shown.

    `test_event`: whether one is sent to the webhook's address. BAD_NEWS if anything is a problem.
    """
    visit = Visit.begin(stack)
    checks = _checks(stack, test_event=test_event)
    findings: list[Finding] = []
    for found in together(partial(examined, check, visit) for check in checks):
        for finding in found:
            _tell(out, finding)
        findings += found
    rights = _rights(findings)
    _tell(out, rights)
    _sum_up(out, [*findings, rights])
    bad = any(finding.state is State.PROBLEM for finding in findings)
    return Code.BAD_NEWS if bad else None


def _rights(findings: list[Finding]) -> Finding:
    """Sum up which rights the caller lacks."""
    lacking = sorted({finding.right for finding in findings if finding.right})
    if not lacking:
        return Finding("your rights", State.OK, "enough for every check")
    found = f"you lack {', '.join(lacking)}"
    return Finding(
        "your rights",
        State.NOT_CHECKED,
        found,
        "the stack's ReadersPolicy has all but secretsmanager:GetSecretValue",
    )


def _tell(out: Output, finding: Finding) -> None:
    found, way_out = clean(finding.found, 1000).rstrip(" :"), clean(finding.way_out, 1000)
    if out.as_json:
        out.emit(
            {"check": finding.check, "state": finding.state, "found": found, "way_out": way_out}
        )
        return
    mark = f"{_MARK[finding.state]} {finding.state:<11}"
    out.show(Text.assemble((mark, _STYLE[finding.state]), f"  {finding.check:<24}  {found}"))
    if way_out and not finding.right:  # of all rights together, at the end
        out.show(f"{'':15}→ {way_out}")


def _sum_up(out: Output, findings: list[Finding]) -> None:
    if out.as_json:
        return
    counts = {state: sum(f.state is state for f in findings) for state in State}
    told = [plural(counts[state], state) for state in (State.PROBLEM, State.WARNING)]
    told += [f"{counts[State.NOT_CHECKED]} not checked"] * bool(counts[State.NOT_CHECKED])
    out.show(f"{', '.join(told)}; {counts[State.OK]} ok")


def ask(stack: Stack, out: Output, name: str | None, file_id: str | None) -> None:
    """Ask the API of an account what its documents leave open."""
    said = stack.client("secretsmanager").get_secret_value(SecretId=stack.output("KeysSecret"))
    account = _chosen(read_accounts(said.get("SecretString", "")).accounts, name)
    file_id = file_id or small_file(stack.catalogue.newest([account.name]))
    if file_id is None:
        out.note("no small output is archived to try downloads with; name one by --file")
    out.note(f"asking {account.base_url}; this only reads, and costs nothing")
    rows = [("question", "answer")]
    with Probe(account) as probe:
        for answer in _asked(probe, file_id):
            question, told = answer.question, clean(answer.answer)
            if out.as_json:
                out.emit({"question": question, "answer": told, "details": answer.details})
            rows.append((question, told))
        width = max(len(question) for question, _ in rows)
        for question, told in rows:
            out.show(f"{question:<{width}}  {told}".rstrip())
        out.note(
            f"{plural(probe.requests, 'request')}, {size(probe.bytes)} of files; nothing changed"
        )


def _asked(probe: Probe, file_id: str | None) -> Iterator[Answer]:
    try:
        yield from probe.answers(file_id)
    except AccessError as error:
        way_out = "batchwatch doctor tells which key, and how to mend it"
        raise CommandError(Code.DENIED, str(error), way_out) from error


def _chosen(accounts: list[Account], name: str | None) -> Account:
    by_name = {account.name: account for account in accounts}
    if name is None and len(accounts) == 1:
        return accounts[0]
    if (name or "default") in by_name:
        return by_name[name or "default"]
    known = ", ".join(by_name) or "none"
    cause = f"the secret has no usable account {name or 'default'!r}"
    raise CommandError(Code.NOT_FOUND, cause, f"give --account; there are: {known}")
