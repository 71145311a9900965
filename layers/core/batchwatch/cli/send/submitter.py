"""Submitter asked by hand: only it has the keys. What it answers is said in submit/by_hand.py."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from batchwatch.cli.trouble import Code, CommandError
from batchwatch.notify.wording import clean

if TYPE_CHECKING:
    from batchwatch.cli.stack import Stack

_ENDED = re.compile(r"has already ended")
_UNKNOWN = re.compile(r"^(no job |no job or batch |account '.*' has no batch )")
_BY_OPENAI = re.compile(r"^POST \S+/cancel: (?P<why>\w+)")
_NO_ACCOUNT = re.compile(r"no usable account ")


class EndedAlreadyError(CommandError):
    """Raised when nothing is left to be cancelled."""

    def __init__(self, cause: str) -> None:
        super().__init__(Code.BAD_NEWS, cause)


def cancel(stack: Stack, wanted: str, account: str | None) -> dict[str, Any]:
    """Cancel a job or a batch; CommandError where that cannot be, EndedAlreadyError if too late."""
    asked = {"cancel": wanted} | ({"account": account} if account else {})
    answer = stack.client("lambda").invoke(
        FunctionName=stack.output("SubmitterFunction"), Payload=json.dumps(asked)
    )
    said = _read(answer["Payload"].read())
    if "FunctionError" in answer:
        raise CommandError(
            Code.BAD_NEWS,
            f"Submitter failed: {clean(said.get('errorMessage') or answer['FunctionError'])}",
            f"look into its log: aws logs tail {stack.output('LogGroup')} --since 10m; to ask "
            "again does no harm",
        )
    if "error" in said:
        raise _refusal(wanted, clean(said["error"]))
    return said


def _read(payload: bytes) -> dict[str, Any]:
    try:
        said = json.loads(payload)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def _refusal(wanted: str, error: str) -> CommandError:
    if _ENDED.search(error):
        return EndedAlreadyError(error)
    if _UNKNOWN.search(error):
        way_out = f"if OpenAI has it, name its account: batchwatch cancel {wanted} --account NAME"
        return CommandError(Code.NOT_FOUND, error.partition(";")[0], way_out)
    if _NO_ACCOUNT.search(error):
        return CommandError(Code.USAGE, error, "give --account a name that the secret has")
    if by_openai := _BY_OPENAI.search(error):
        return _of_openai(by_openai["why"], error)
    return CommandError(Code.BAD_NEWS, f"Submitter says: {error}", "to ask again does no harm")


def _of_openai(why: str, error: str) -> CommandError:
    """OpenAI has refused; `why`: its status, or a word where there was no answer."""
    if why in {"401", "403"}:
        way_out = "the key of that account needs the right to write batches"
        return CommandError(Code.DENIED, f"OpenAI: {error}", way_out)
    later = why == "429" or why.startswith("5") or not why.isdigit()
    return CommandError(
        Code.LATER if later else Code.BAD_NEWS,
        f"OpenAI: {error}",
        "try again in a minute; to ask again does no harm",
    )
