"""What is taken from the body of a refusal: codes and names, as its words may quote anything."""

import json
import re
from typing import Any, NamedTuple, Self

import httpx

_DENIED = {401, 403}
_WRONG = {400, 422}
_PERHAPS_DONE = {408, 409}
_MASKED = re.compile(r"\S*\*\*\S*")  # a key of which only the middle was taken out
_CODE = re.compile(r"[a-z0-9_.-]{1,64}")
_PARAM = re.compile(r"[A-Za-z0-9_.\[\]-]{1,80}")
_LIMITED = re.compile(r"token_limit_exceeded|enqueued (token|request) limit", re.IGNORECASE)


def may_be_done(status: int) -> bool:
    """Whether a request may have been carried out: only a 4xx is a no, and not each of them."""
    return status // 100 != 4 or status in _PERHAPS_DONE  # noqa: PLR2004 - HTTP


class Refusal(NamedTuple):
    """Why an answer is a refusal.

    reason:  for the text of an error: in words only where the key is refused
    code:    the code of OpenAI, if it looks like one
    limited: the account has as much in line as it may: the same request may pass later
    """

    reason: str
    code: str | None
    limited: bool

    @classmethod
    def read(cls, status: int, body: bytes) -> Self:
        """Read the body, which may be anything."""
        error = _error(body)
        limited = bool(_LIMITED.search(_words(error)))
        code = _code(error.get("code")) if isinstance(error, dict) else None
        return cls(_reason(status, error), code, limited)


def _error(body: bytes) -> object:
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _words(error: object) -> str:
    """Give all that may tell of a limit; some send a mere text for an error."""
    return f"{error.get('code')} {error.get('message')}" if isinstance(error, dict) else str(error)


def _reason(status: int, error: object) -> str:
    said: dict[str, Any] = error if isinstance(error, dict) else {}
    if status in _DENIED:
        reason = _MASKED.sub("…", str(said["message"])) if "message" in said else None
    else:
        reason = _code(said.get("code") or said.get("type"))
    reason = reason or httpx.codes.get_reason_phrase(status)
    param = said.get("param")
    named = status in _WRONG and isinstance(param, str) and _PARAM.fullmatch(param)
    return f"{reason} ({param})" if named else reason


def _code(said: object) -> str | None:
    return code if _CODE.fullmatch(code := str(said)) else None
