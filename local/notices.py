"""What people are told of a run: the mails, and what a stand-in for Slack was sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batchwatch.notify.email import Email

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local.service import Subscriber
    from local.simulator.slack import SimulatedSlack


class Notices:
    """Every mail so far, and the stand-in for Slack."""

    def __init__(self, mailbox: Subscriber, slack: SimulatedSlack) -> None:
        self.slack = slack
        self.mails: list[Email] = []
        self._mailbox = mailbox

    def news(self) -> list[Email]:
        """Return the mails that came since the last call."""
        envelopes = [json.loads(message) for message in self._mailbox.news()]
        mails = [Email(said["Subject"], said["Message"]) for said in envelopes]
        self.mails += mails
        return mails

    def missing(self, batch_ids: Iterable[str]) -> list[str]:
        """Return those of which not both mail and Slack have told."""
        mailed = "\n".join(mail.text for mail in self.mails)
        posted = json.dumps([*self.slack.messages])
        return [b for b in batch_ids if b not in mailed or b not in posted]

    def summary(self, invocations: int) -> tuple[str, dict[str, Any]]:
        """Tell how many digests there were, and in how many invocations of the notifier."""
        mails, posts = len(self.mails), len(self.slack.messages)
        told = (
            f"\n{mails} mails, and {posts} messages for Slack. On AWS there would be fewer: what"
            " happens within a minute is one digest there. How Slack shows them: docs/slack.svg"
        )
        return told, {
            "kind": "notices",
            "mails": mails,
            "slack": posts,
            "invocations": invocations,
        }
