"""`batchwatch track`."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from batchwatch.cli.ids import ids_of
from batchwatch.cli.output import Output
from batchwatch.cli.sure import sure
from batchwatch.cli.trouble import Code, CommandError
from local.simulator import Script
from tests.command_line import batchwatch, refusing
from tests.world import ACCOUNT, client

if TYPE_CHECKING:
    from tests.world import World

BRIEF = Script(name="nightly", endpoint="/v1/responses", requests=10, ends="completed")


@pytest.mark.usefixtures("stack")
def test_batches_are_under_watch_and_those_that_were_stay_as_they_are(world: World) -> None:
    new, known = world.batch(BRIEF, found=True), world.batch(BRIEF)
    world.poll(after=1)
    client("dynamodb").delete_item(
        TableName=world.environment["BATCHWATCH_TABLE"],
        Key={"account": {"S": ACCOUNT}, "batch_id": {"S": new}},
    )
    was = world.record(known)

    said = batchwatch("track", "-", stdin=f"{new}\n\n{known}\n{new}\n")

    assert said.code == 0
    assert said.out.splitlines() == [
        f"{new} is under watch from now on (account default)",
        f"{known} is watched already: {was.last_status} (account default)",
    ]
    assert "batchwatch watch" in said.err
    assert (world.record(new).tracked, world.record(new).open) == (True, True)
    assert world.record(known) == was
    world.poll(after=60)
    assert world.record(new).last_status
    (again,) = batchwatch("track", new, "--json").objects
    assert (again["known"], again["status"]) == (True, world.record(new).last_status)


@pytest.mark.usefixtures("stack")
def test_with_several_accounts_one_is_to_be_named_and_until_then_nothing_is_done(
    world: World,
) -> None:
    bucket = world.environment["BATCHWATCH_BUCKET"]
    for key in ("events/research/batch_1/0001.json", "batches/account=default/batch_1.json"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")

    said = batchwatch("track", "batch_2", "batch_3")
    named = batchwatch("track", "batch_2", "--account", "research", "--json")

    assert (said.code, said.out) == (2, "")
    assert "default, research" in said.err
    assert not world.record("batch_2").open
    assert named.objects == [
        {"kind": "batch", "id": "batch_2", "account": "research", "known": False, "status": "new"}
    ]
    assert world.runtime.ledger.get("research", "batch_2").open


@pytest.mark.parametrize(
    "arguments",
    [
        ("batch_1", "a/b"),
        ("batch_1", "sk-abcdefgh"),
        ("batch_1", "--account", "No Account"),
        ("-",),
    ],
)
def test_what_cannot_be_an_id_or_an_account_is_refused_before_aws_is_asked(
    arguments: tuple[str, ...],
) -> None:
    with refusing("AccessDenied", 403) as asked:
        said = batchwatch("track", *arguments, stdin="\n")

    assert (said.code, said.out, asked) == (2, "", [])
    assert "error: " in said.err
    assert "abcdefgh" not in said.err


@pytest.mark.usefixtures("stack")
def test_what_looks_like_no_batch_or_no_account_is_not_taken_unseen(world: World) -> None:
    arguments = ("track", "msgbatch_1", "batch_1", "--account", "elsewhere")
    refused, said = batchwatch(*arguments), batchwatch(*arguments, "--force")

    assert (refused.code, refused.out) == (2, "")
    assert "msgbatch_1: the ids of batches begin with batch_" in refused.err
    assert said.code == 0
    assert len(said.out.splitlines()) == 2
    assert "'elsewhere'" in said.err
    assert "batchwatch list --status open --account elsewhere" in said.err
    assert "msgbatch_1" not in batchwatch("list", "--all").out
    assert "msgbatch_1" in batchwatch("list", "--status", "open", "-a", "elsewhere").out
    assert "give --account" in batchwatch("show", f"batch_{'0' * 32}").err
    assert world.runtime.ledger.get("elsewhere", "msgbatch_1").open


@pytest.mark.usefixtures("stack")
def test_a_batch_that_was_given_up_is_asked_for_again(world: World) -> None:
    assert batchwatch("track", "batch_wrong").code == 0
    for _ in range(13):
        world.poll(after=5 * 86_400)
    assert world.record("batch_wrong").abandoned

    said = batchwatch("track", "batch_wrong")

    assert "was lost, and is asked for again" in said.out
    assert world.record("batch_wrong").open


def test_ids_come_from_whatever_standard_input_is() -> None:
    assert ids_of(["-", "batch_3"], ["\ufeffbatch_1 batch_2\n", "\n", "batch_1\n"]) == [
        "batch_1",
        "batch_2",
        "batch_3",
    ]
    for said in (None, io.TextIOWrapper(io.BytesIO(b"batch_1\n\xff\n"), "utf-8")):
        with pytest.raises(CommandError) as refused:
            ids_of(["-"], said)
        assert refused.value.code is Code.USAGE


def test_who_has_no_standard_input_at_all_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CommandError, match="no terminal"):
        sure(Output(), "Sure?")
