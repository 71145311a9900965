"""`batchwatch doctor`: is everything in order, and how to mend what is not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from batchwatch.accounts import read_accounts
from batchwatch.cli.checks import deployment, left_over, listeners, secret
from batchwatch.cli.checks import webhook as webhooks
from batchwatch.cli.checks.finding import Check, Finding, State, examined
from batchwatch.cli.checks.together import together
from batchwatch.cli.checks.visit import Visit
from batchwatch.cli.command import command
from batchwatch.cli.meaning import Answer
from batchwatch.cli.output import Output
from batchwatch.cli.probe import Probe, small_file
from batchwatch.cli.stack import Stack
from batchwatch.cli.trouble import Code, CommandError
from batchwatch.errors import AccessError
from batchwatch.notify.wording import clean, plural, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchwatch.account import Account

_MARK = {State.OK: "✓", State.WARNING: "!", State.PROBLEM: "✗", State.NOT_CHECKED: "?"}
_STYLE = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "red", State.NOT_CHECKED: ""}


@command("doctor")
def see_doctor(  # noqa: PLR0913 - each is an option
    stack: Stack,
    out: Output,
    *,
    webhook: Annotated[
        bool,
        typer.Option(
            "--webhook",
            help="Also send a signed test event, which changes nothing, to the webhook's address.",
        ),
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Instead, ask OpenAI what its documents leave open; only reads, costs nothing.",
        ),
    ] = False,
    account: Annotated[
        str | None,
        typer.Option(
            "--account",
            "-a",
            metavar="NAME",
            help="With --probe: whose API is asked. [default: default, or the only one]",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE_ID",
            help="With --probe: the file at OpenAI to try downloads with; at most 1 MB of it is "
            "read. [default: the output of a recent small batch]",
        ),
    ] = None,
) -> Code | None:
    """Tell whether everything is in order, and how to mend what is not.

    Looks at the stack and its schedules, the last poll, the secret and each key in it (by one
    GET of the list of batches), webhooks, who is subscribed, alarms, dead letters, files that
    wait to be archived, and the bucket. Each line is ok, a warning, a problem, or not checked,
    as you have no right to look; below it stands the way out. No key is ever printed.

    It only reads, and needs rights that other commands do not: it reads the secret.

    \b
    batchwatch doctor
    batchwatch doctor --webhook
    batchwatch doctor --json | jq 'select(.state != "ok")'
    batchwatch doctor --probe --account default

    With --json each check is an object {check, state, found, way_out}; with --probe each question
    is one {question, answer, details}.

    Exit code: 0 if nothing is a problem (there may be warnings), else 1; 3 if there is no such
    stack; 4 if you may not even ask for it.
    """  # noqa: D301 - click's mark of lines that stay as they are
    if probe:
        return _probe(stack, out, account, file)
    if account or file:
        raise CommandError(Code.USAGE, "--account and --file go with --probe")
    visit = Visit.begin(stack)
    return _examine(visit, out, _checks(stack, test_event=webhook))


def _checks(stack: Stack, *, test_event: bool) -> list[Check]:
    return [
        Check("clock", deployment.clock),
        Check("stack", deployment.deployed),
        Check("schedule", deployment.schedules, "sam build && sam deploy"),
        Check("last poll", deployment.last_poll),
        Check("log", deployment.set_aside),
        Check("secret", secret.secret),
        Check("keys", secret.keys),
        Check("webhook", webhooks.address),
        *([Check("webhook's answer", webhooks.test_event)] if test_event else []),
        Check("email", listeners.email),
        Check("listeners", listeners.events),
        Check("alarms' listeners", listeners.alarms),
        Check("alarms", left_over.alarms),
        *left_over.queues(stack),
        Check("archive", left_over.archive),
        Check("bucket", deployment.bucket),
    ]


def _examine(visit: Visit, out: Output, checks: list[Check]) -> Code | None:
    """Make the checks side by side; show each as soon as those before it are shown."""
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
    return Finding("your rights", State.NOT_CHECKED, found, "docs/cli.md has a policy")


def _tell(out: Output, finding: Finding) -> None:
    found, way_out = clean(finding.found, 1000), clean(finding.way_out, 1000)
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


def _probe(stack: Stack, out: Output, name: str | None, file_id: str | None) -> Code | None:
    said = stack.client("secretsmanager").get_secret_value(SecretId=stack.output("KeysSecret"))
    account = _chosen(read_accounts(said.get("SecretString", "")).accounts, name)
    file_id = file_id or small_file(stack.catalogue.newest([account.name]))
    if file_id is None:
        out.note("no small output is archived to try downloads with; name one by --file")
    out.note(f"asking {account.base_url}; this only reads, and costs nothing")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("question", no_wrap=True)
    table.add_column("answer")
    with Probe(account) as probe:
        for answer in _asked(probe, file_id):
            question, told = answer.question, clean(answer.answer)
            if out.as_json:
                out.emit({"question": question, "answer": told, "details": answer.details})
            table.add_row(Text(question), Text(told))
        out.show(table)
        out.note(
            f"{plural(probe.requests, 'request')}, {size(probe.bytes)} of files; nothing changed"
        )
    return None


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
