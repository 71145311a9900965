"""The documents from one end to the other: what they tell to type does what they promise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.scenario import scenario
from local.simulator import Script
from tests.deploy.consuming_steps import (
    Mine,
    deploy_example,
    get_what_was_asked_for,
    react_once,
    see_and_clean_up,
    subscribe,
)
from tests.deploy.looking_steps import (
    ask,
    ask_doctor,
    follow,
    give_rights,
    mend,
    show_a_page,
    track,
    use_it_in_scripts,
)
from tests.deploy.sending_steps import be_told, cancel, fill_in_accounts, send, submit, webhooks
from tests.deploy.walk import walking
from tests.shell import loaded
from tests.typed import WALK, typed_by
from tests.whole.stack import deployed
from tests.whole.terminal import why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.whole.stack import Stack

pytestmark = pytest.mark.full
WHY_NOT = why_not()
OPTIONS = {"Webhooks": "on", "EventBus": "default", "Dashboard": "on", "ArchiveInput": "on"}
TRANSLATIONS, WRONG = (
    replace(script, validating=1, running=4, finalizing=1)
    for script in scenario()
    if script.name in ("translations", "wrong-parameters")
)
TINY = Script(name="tiny", endpoint="/v1/responses", requests=2, ends="completed")
SEARCHED = Script(name="of search", endpoint="/v1/responses", requests=2, ends="failed")


@pytest.mark.skipif(WHY_NOT != "", reason=WHY_NOT)
def test_each_step_of_the_documents_does_what_its_text_promises(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with (
        deployed(Discovery="off", **OPTIONS) as stack,
        loaded(tmp_path, stack.emulator.endpoint) as programs,
        walking(stack, tmp_path / "a", programs) as one,
    ):
        fill_in_accounts(one)
        queues = subscribe(one)
        _of_search(stack)
        with (
            walking(stack, tmp_path / "b", programs) as other,
            ThreadPoolExecutor(1) as beside,
            stack.ticking(3, jobs=True),
        ):
            batches = [stack.watch(each) for each in (TRANSLATIONS, WRONG, SEARCHED)]
            built = beside.submit(lambda: (deploy_example(other), Mine(other)))
            done, wrong, searched = batches
            steps: dict[str, Callable[[], object]] = {
                "README, Be told": lambda: be_told(one),
                "README, From the command line": lambda: follow(one, done, wrong),
                "README, Which batches are watched": lambda: track(one, stack.openai.add(TINY)),
                "README, Send": lambda: send(one),
                "README, Subscribe": lambda: get_what_was_asked_for(
                    queues, searched=searched, unanswered=wrong, answered=done
                ),
                "README and docs/cli.md, submit": lambda: submit(one, done),
                "docs/cli.md, cancel": lambda: cancel(one),
                "example, Deploy": built.result,
                "README, React": lambda: react_once(one, built.result()[1], done),
                "example, See": lambda: see_and_clean_up(other, built.result()[0], done),
                "docs/operations.md": lambda: ask(one, done),
                "docs/cli.md, A page to look at": lambda: show_a_page(one),
                "docs/cli.md, scripts and examples": lambda: use_it_in_scripts(one, done, wrong),
                "docs/cli.md, Who may do what": lambda: give_rights(one, done),
                "README, Webhooks": lambda: webhooks(one, done),
                "docs/cli.md, doctor": lambda: ask_doctor(one),
                "docs/cli.md, redrive": lambda: mend(one, done),
            }
            for name, take in steps.items():
                with subtests.test(name):
                    take()
        assert stack.failed == []
        assert one.typed | other.typed == typed_by(WALK)


def _of_search(stack: Stack) -> None:
    """Let a batch have the metadata of a team."""

    def edit(said: dict[str, Any]) -> dict[str, Any]:
        if said.get("metadata", {}).get("name") == SEARCHED.name:
            said["metadata"]["team"] = "search"
        return said

    stack.openai.listing.edit_row = edit
    stack.openai.fault("GET /v1/batches/batch_", times=-1, edit=edit)
