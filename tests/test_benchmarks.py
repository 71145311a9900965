"""The arithmetic of the benchmarks, against numbers worked out by hand."""

from __future__ import annotations

import json
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from benchmarks.capacity import Entry, index_units, item_size, read_units, write_units
from benchmarks.child import Child
from benchmarks.cost import PRICES, Fixed, amounts, bill, fixed_of
from benchmarks.figures import OURS, Figure, Figures
from benchmarks.life import Life
from benchmarks.transfer_origin import Cut, Origin
from benchmarks.transfer_ways import BUCKET, WAYS, try_until_done
from local.deploy import read_template
from tests.world import aws_in_memory, client

if TYPE_CHECKING:
    from pathlib import Path

QUIET = Figure(OURS, 1000, 0, 14, 1.0, 80_000_000, reads=1, read_units=18)
FEW = Figure(OURS, 1000, 0.01, 14, 2.0, 80_000_000, events=10, writes=20, write_units=100)
LIFE = Life(
    events=5,
    changes=7,
    calls={"sns.Publish": 5, "s3.PutObject": 7, "s3.HeadObject": 1},
    reads=10,
    read_units=10,
    writes=27,
    write_units=80,
    item_bytes=2048,
    poll_log_bytes=650,
    metrics=["Events", "OpenBatches", "Problems"],
)
FIXED = Fixed(poller=0.5, archiver=0.5, notifier=0.5, submitter=1, alarms=5, secrets=1)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"id": {"S": "batch"}}, 2 + 5),
        ({"é": {"S": "é"}}, 2 + 2),
        ({"n": {"N": "0"}}, 1 + 1),
        ({"n": {"N": "1795000000"}}, 1 + 2 + 1),  # 1795: trailing zeroes do not count
        ({"n": {"N": "-123"}}, 1 + 2 + 1 + 1),
        ({"yes": {"BOOL": True}}, 3 + 1),
        ({"b": {"B": b"abc"}}, 1 + 3),
        ({"s": {"SS": ["ab", "c"]}}, 1 + 3),
        ({"m": {"M": {}}}, 1 + 3),
        ({"m": {"M": {"k": {"S": "ab"}}}}, 1 + 3 + (1 + 2 + 1)),
        ({"l": {"L": [{"S": "ab"}, {"NULL": True}]}}, 1 + 3 + (2 + 1) + (1 + 1)),
    ],
)
def test_an_item_is_as_large_as_dynamodb_says(item: dict[str, object], size: int) -> None:
    assert item_size(item) == size


def test_reads_are_charged_by_4_kb_and_half_if_they_may_be_old() -> None:
    assert read_units(0, consistent=False) == 0.5
    assert read_units(4096, consistent=True) == 1
    assert read_units(4097, consistent=True) == 2
    assert read_units(144_000, consistent=False) == 18


def test_writes_are_charged_by_the_larger_of_old_and_new_item() -> None:
    assert write_units(0, 1) == 1
    assert write_units(1024, 1025) == 2
    assert write_units(3000, 1) == 3


def test_an_index_is_charged_for_what_it_shows() -> None:
    entry = Entry(key=1, content=1, size=1500)

    assert index_units(None, None) == 0
    assert index_units(entry, entry) == 0
    assert index_units(None, entry) == 2
    assert index_units(entry, None) == 2
    assert index_units(entry, Entry(key=1, content=2, size=100)) == 2
    assert index_units(entry, Entry(key=2, content=2, size=100)) == 2 + 1


def test_a_month_is_what_polls_and_lives_take() -> None:
    month = amounts(1000, (QUIET, FEW), LIFE, FIXED)
    polls, lives = 43_800, 1000 * 730 / 24

    # 7 of 1,440 polls find a change: of a thousand batches 0.486 % change from poll to poll.
    assert month["Poller, running"][0] == pytest.approx(polls * (1 + 0.486111) * 0.5)
    assert month["ledger, polls read"][0] == polls * 18
    assert month["ledger, lives write"][0] == pytest.approx(lives * 80)
    assert month["bucket, written"][0] == pytest.approx(lives * 7)
    assert month["bucket, read"][0] == pytest.approx(lives)
    assert month["Submitter, idle"][0] == pytest.approx(polls * 0.05)
    assert month["jobs, looked for"][0] == polls / 2
    assert month["metrics"][0] == 4
    assert month["alarms"][0] == 5


def test_more_batches_than_were_measured_take_as_much_more() -> None:
    month = amounts(10_000, (QUIET, FEW), LIFE, FIXED)

    assert month["ledger, polls read"][0] == pytest.approx(43_800 * 180)


def test_fewer_batches_than_were_measured_take_a_poll_of_those_measured() -> None:
    month = amounts(10, (QUIET, FEW), LIFE, FIXED)

    assert month["ledger, polls read"][0] == 43_800 * 18
    assert month["ledger, lives write"][0] == pytest.approx(10 * 730 / 24 * 80)


def test_a_bill_has_a_price_for_everything() -> None:
    prices = json.loads(PRICES.read_text())["prices"]
    month = amounts(10, (QUIET, FEW), LIFE, fixed_of(read_template()))
    lines = bill(month, {name: price["dollars"] / price["per"] for name, price in prices.items()})

    assert {of for _, of in month.values()} == {*prices}
    assert lines["secret"].dollars == pytest.approx(0.40)
    assert lines["schedule"].dollars == pytest.approx(2 * 0.0438)


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    sdk = Figure("SDK", 10_000, None, 10_000, 535.7, 57_000_000, extrapolated_from=1000)
    figures = Figures({"date": "2026-11-21", "latency": 0.05}, [QUIET, FEW, sdk])
    kept = tmp_path / "figures.json"
    kept.write_text(figures.to_json())

    assert Figures.read(kept) == figures


def test_the_poll_taken_is_of_the_next_larger_number_measured() -> None:
    looks = [QUIET._replace(open=size) for size in (20, 100, 1000)]
    figures = Figures({}, looks)

    wanted = {10: 20, 20: 20, 21: 100, 1000: 1000, 10_000: 1000}
    assert {size: figures.ours(size, 0).open for size in wanted} == wanted


def test_a_command_that_ends_does_not_end_who_measures_it() -> None:
    with Child("benchmarks.many", environment={"AWS_DEFAULT_REGION": "us-east-1"}) as child:
        asked = [child.ask("run", command=["list", "--help"]) for _ in range(2)]

    assert {each["lines"] > 10 for each in asked} == {True}


@pytest.mark.parametrize(
    ("who", "cut", "arrived", "failed", "moved"),
    [
        ("ours", Cut(0, times=0), 1.0, 0, 1.0),
        ("streaming", Cut(0, times=0), 1.0, 0, 1.0),
        ("whole", Cut(0, times=0), 1.0, 0, 1.0),
        ("ours", Cut(2_000_000), 1.0, 0, 1.0),
        ("streaming", Cut(2_000_000), None, 3, 1.2),
        ("ours", Cut(2_000_000, times=1, quietly=True), 1.0, 1, 1.4),
        ("streaming", Cut(2_000_000, times=1, quietly=True), 0.4, 0, 0.4),
    ],
)
def test_copies_beside_ours_are_whole_unless_they_are_cut(
    who: str, cut: Cut, arrived: float | None, failed: int, moved: float
) -> None:
    size = 5_000_000
    with aws_in_memory(), Origin(size) as origin:
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        origin.cut = cut

        with closing(WAYS[who](origin.base_url, s3)) as way:
            errors = try_until_done(way.copy, "key")

        objects = {each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}
        body = s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() if objects else None
    assert (len(body) / size if body else None) == arrived
    assert (len(errors), origin.served / size) == (failed, moved)
    if arrived == 1:
        assert zlib.crc32(body or b"") == origin.crc32()
