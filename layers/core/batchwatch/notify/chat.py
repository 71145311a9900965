"""A digest as a custom notification of Amazon Q Developer in chat applications. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchwatch.notify.digest import Digest


def chat_message(digest: Digest) -> str:
    """Return the JSON to publish to the topic `Chat`; anything else there is not shown."""
    raise NotImplementedError
