"""Names and numbers from the environment, set by template.yaml. Never a secret."""

import os
from collections.abc import Mapping
from typing import Self

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
    grace: float = 600
    progress_steps: int = 10
    tries: int = 20
    longest_retry: float = 900

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read `BATCHWATCH_TABLE` and its kin; an absent or wrong one is named."""
        prefix = "BATCHWATCH_"
        return cls.model_validate(
            {k.removeprefix(prefix).lower(): v for k, v in environ.items() if k.startswith(prefix)}
        )
