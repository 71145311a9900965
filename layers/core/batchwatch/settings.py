"""Names and numbers from the environment, set by template.yaml. Never a secret."""

import os
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """One field per variable of the template; each function gets those it needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stack: str
    table: str
    bucket: str
    topic: str
    secret: str
    archive_queue: str
    archive_dead_letters: str = ""
    notifications: str = ""
    chat: str = ""
    told: str = ""
    prices: str = ""
    event_bus: str = ""
    relay_dead_letters: str = ""
    jobs: str = ""
    inbox_queue: str = ""
    inbox_dead_letters: str = ""
    on_bad_lines: Literal["quarantine", "refuse"] = "quarantine"
    grace: float = 600
    progress_steps: int = 10
    tries: int = 20
    longest_retry: float = 900
    discovery: Literal["on", "off"] = "on"
    backfill: Literal["none", "archive"] = "none"
    archive_input: Literal["on", "off"] = "off"
    lost_after: float = 3600
    stalled_validating: float = 3600
    stalled_in_progress: float = 21_600
    stalled_finalizing: float = 7200
    stalled_cancelling: float = 7200
    stalled_overdue: float = 10_800

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read `BATCHWATCH_TABLE` and its kin; an absent or wrong one is named."""
        prefix = "BATCHWATCH_"
        return cls.model_validate(
            {k.removeprefix(prefix).lower(): v for k, v in environ.items() if k.startswith(prefix)}
        )
