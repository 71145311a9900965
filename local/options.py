"""What a run is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line. Times in seconds, size in bytes.

    `track`: batches to watch alone; of an API with none of them, everything is watched.
    `submit`: files to send. `token_limit`: how many tokens of a model the simulated OpenAI
    enqueues. `scenario`: whether the built-in batches are simulated.
    `webhooks`: whether the simulated OpenAI tells of the ends by itself.
    `notify`: whether the digests for people are shown as they come. `stay`: whether it goes on
    after the end, so that the command line has something to look at.
    """

    base_url: str | None = None
    api_key: str | None = None
    track: tuple[str, ...] = ()
    submit: tuple[Path, ...] = ()
    token_limit: int | None = None
    scenario: bool = True
    every: float = 2
    run_for: float | None = None
    events: Path | None = None
    archive: Path | None = None
    size: int = 0
    webhooks: bool = False
    notify: bool = False
    stay: bool = False

    @property
    def alone(self) -> bool:
        """Whether only what was named is watched, and what is sent."""
        return bool(self.track or (self.submit and self.base_url))
