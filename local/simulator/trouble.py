"""Which fault is in store for a request: one asked for, one of a rate limit, or one by chance."""

import math
import re
from random import Random
from typing import Any

from local.simulator.faults import Fault
from local.simulator.wire import Request, error_answer

_MINUTE, _HOUR = 60, 3600  # seconds
_HTML = {"content-type": "text/html"}
_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"


class Trouble:
    """What is to go wrong, request by request."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.limit_per_minute: int | None = None  # requests; None: as many as come
        self.creations_per_hour: int | None = None  # of batches
        self._requests = _Counted("requests per min (RPM)", _MINUTE)
        self._creations = _Counted("batch creations per hour", _HOUR)
        self._chance = Chance(share=0, seed=0, stall=0)

    def fault(self, match: str, **kind: Any) -> Fault:
        """Let the next requests that match go wrong; the fields of Fault say how."""
        fault = Fault(match, **kind)
        self.faults.append(fault)
        return fault

    def unreliable(self, *, share: float, seed: int = 0, stall: float = 0.2) -> None:
        """Let a share of all requests go wrong from now on; a seed always draws the same.

        `stall`: seconds that an answer takes which goes wrong by being slow.
        """
        self._chance = Chance(share=share, seed=seed, stall=stall)

    def _due(self, request: Request, now: float) -> Fault:
        """Take the fault of one request; of two requests at once, one after the other."""
        return (
            self._over_limit(f"{request.method} {request.path}", now)
            or self._asked_for(f"{request.method} {request.path}")
            or self._chance.draw()
            or Fault("")  # which does nothing
        )

    def _over_limit(self, asked: str, now: float) -> Fault | None:
        fault = self._requests.over(self.limit_per_minute, now)
        if fault is None and asked == "POST /v1/batches":
            fault = self._creations.over(self.creations_per_hour, now)
        return fault

    def _asked_for(self, asked: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.match, asked):
                if fault.times > 0:
                    fault.times -= 1
                return fault
        return None


class _Counted:
    """What is counted against a limit, anew in each span of time."""

    def __init__(self, what: str, seconds: int) -> None:
        self._what, self._seconds = what, seconds
        self._span = 0.0  # the last one in which something was counted
        self._count = 0  # in it

    def over(self, limit: int | None, now: float) -> Fault | None:
        """Count one more; answer with a refusal if that is too many."""
        span, passed = divmod(now, self._seconds)
        if span != self._span:
            self._span, self._count = span, 0
        self._count += 1
        if limit is None or self._count <= limit:
            return None
        wait = math.ceil(self._seconds - passed)
        told = f"Rate limit reached on {self._what}: Limit {limit}, Requested 1."
        told = f"{told} Please try again in {wait}s."
        body = b"".join(error_answer(429, told, code="rate_limit_exceeded").chunks)
        return Fault("", status=429, body=body, headers={"retry-after": str(wait)})


class Chance:
    """A share of requests that goes wrong, drawn one by one."""

    def __init__(self, *, share: float, seed: int, stall: float) -> None:
        self._share, self._stall = share, stall
        self._random = Random(seed)  # noqa: S311 - to be repeated, not secret

    def draw(self) -> Fault | None:
        """Say what goes wrong with the next request; None: nothing."""
        if self._random.random() >= self._share:
            return None
        middle = self._random.random()  # how far a body comes
        return self._random.choice(
            [
                Fault("", status=429, headers={"retry-after": "0"}),
                Fault("", status=500),
                Fault("", status=502, body=_BAD_GATEWAY, headers=_HTML),
                Fault("", reset=True),
                Fault("", reset=True, cut_share=middle),
                Fault("", cut_share=middle),
                Fault("", delay=self._stall),
            ]
        )
