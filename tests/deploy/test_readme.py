"""Each command of README's "Deploy it", typed: to the first mail, a second stack, and away."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.emulator import Emulator
from local.service import Service, Subscriber
from local.simulator import SimulatedOpenAI
from tests.deploy.aws import outputs_of, parameters_of, wait
from tests.deploy.beside import beside_each_other, cleaned, look, only_what_was_paid_for_stays
from tests.deploy.keys import nowhere_else, put_key
from tests.deploy.readme import Readme, mail
from tests.deploy.sam import said
from tests.whole.stack import Stack
from tests.whole.test_cli import BRIEF

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.sam import Project

pytestmark = pytest.mark.deploy
FIRST, SECOND = "batchwatch", "batchwatch-staging"
KEY, OTHER_KEY = (f"sk-{secrets.token_hex(16)}" for _ in range(2))  # in no file, so far


def test_the_readme_leads_to_the_first_mail_to_a_second_stack_and_away(
    project: Project, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    readme = Readme(project)
    with (
        Emulator(tmp_path) as emulator,
        SimulatedOpenAI(key=KEY) as openai,
        SimulatedOpenAI(key=OTHER_KEY) as elsewhere,
    ):
        project.live_at(emulator)
        with subtests.test("a stack"):
            readme.step("sam build")  # done, once for all tests
            readme.type("sam deploy")
            listed: list[dict[str, str]] = json.loads(readme.type("sam list"))
        service = Service(emulator, {o["OutputKey"]: o["OutputValue"] for o in listed})
        with service.subscribe() as listener, service.mailbox() as mailbox:
            first = Stack(emulator, service, openai, listener, tmp_path)
            with subtests.test("its key"):
                key = [readme.step(beginning) for beginning in ("read", "printf", "unset")]
                put_key(KEY, project, key, first)
            with subtests.test("only TLS"):
                wait(service.tick)  # what had ended before is history
                openai.add(replace(BRIEF, name="nightly-summaries"))
                refused_without_tls(first)
            with subtests.test("the first mail"):
                readme.type("uv run batchwatch doctor")
                told = json.loads(wait(lambda: polled(service, mailbox))[0])
                mail().compare(f"Subject: {told['Subject']}\n{told['Message']}")
                wait(lambda: first.settle(0) == [])
                readme.type("uv run batchwatch list")
            with subtests.test("another parameter"):
                before = parameters_of(emulator, FIRST)
                readme.type("sam deploy --parameter-overrides")
                assert parameters_of(emulator, FIRST) == before | {
                    "Dashboard": "on",
                    "LogRetention": "90",
                }
                assert before["NotificationEmail"] == "you@example.com"
            with subtests.test("the key is nowhere else"):
                nowhere_else(KEY, project, first)
            readme.type("sam deploy")
            outputs = outputs_of(emulator, SECOND)
            with Subscriber(emulator, outputs["EventsTopic"], queue="second") as ear:
                second = Stack(emulator, Service(emulator, outputs), elsewhere, ear, tmp_path)
                second.service.put_key(OTHER_KEY, elsewhere.base_url)
                second.s3.delete_bucket_policy(Bucket=outputs["BucketName"])
                beside_each_other(first, second, subtests)
            before, taking = look(first, second), readme.step("sam delete")
            # It looks every 30 seconds whether all is gone: time enough for the rest.
            with project.start(taking.command) as deleting:
                with subtests.test("the second taken away"):
                    wait(lambda: not outputs_of(emulator, SECOND))
                    only_what_was_paid_for_stays(first, second, before)
                with subtests.test("and what it left"):
                    for beginning in [each.command.split()[0] for each in readme.left]:
                        readme.type(beginning, outputs)
                    cleaned(second)
                taking.compare(said(deleting))
        assert openai.errors == elsewhere.errors == []


def polled(service: Service, mailbox: Subscriber) -> list[str]:
    """Give the mails that have come, after one more poll."""
    service.tick()
    return mailbox.news()


def refused_without_tls(stack: Stack) -> None:
    """Whether nothing gets into the bucket by plain HTTP; then let it, as there is no TLS here."""
    bucket = stack.service.outputs["BucketName"]

    def refusal() -> list[str]:
        stack.service.tick()
        return [line for line in stack.service.log("AccessDenied") if "s3:PutObject" in line]

    assert wait(refusal)
    assert stack.objects() == {}
    stack.s3.delete_bucket_policy(Bucket=bucket)
