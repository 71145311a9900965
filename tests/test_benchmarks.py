"""The arithmetic of the benchmarks, against numbers worked out by hand."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import run
from benchmarks.capacity import Entry, index_units, item_size, read_units, write_units
from benchmarks.child import Child
from benchmarks.coldstart import SDK, medians
from benchmarks.cost import PRICES, PURPOSES, Fixed, amounts, bill, cost, fixed_of, summary
from benchmarks.figures import OURS, Figure, Figures
from benchmarks.latency import Waits
from benchmarks.life import Life
from benchmarks.server import LATENCY
from benchmarks.subjects import COMMITTED, SUBJECTS, Subject
from benchmarks.transfer_origin import Cut, Origin
from benchmarks.transfer_ways import BUCKET, WAYS, try_until_done
from local.deploy import ROOT, read_template
from tests.world import aws_in_memory, client

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

QUIET = Figure(OURS, 1000, 0, 14, 9.0, 80_000_000, reads=1, read_units=18, busy=0.1)
FEW = Figure(OURS, 1000, 0.01, 14, 9.0, 80_000_000, writes=20, calls={"sns": 80}, busy=0.2)
LIFE = Life(
    events=5,
    changes=7,
    progress=4,
    progress_read_units=2,
    progress_write_units=6,
    calls={"sns.Publish": 5, "s3.PutObject": 7, "s3.HeadObject": 1},
    reads=10,
    read_units=10,
    writes=27,
    write_units=80,
    item_bytes=2048,
    poll_log_bytes=650,
    metrics=["OpenBatches"],
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
    month = amounts(1000, (QUIET, FEW), LIFE, FIXED, LATENCY)
    polls, lives = 43_800, 1000 * 730 / 24

    quiet, few = 14 * LATENCY + 0.1 / (0.5 / 1.769), 14 * LATENCY + 0.2 / (0.5 / 1.769) + 0.1
    # 4 of 1,440 polls find progress, 3 a transition; the look with a few has 1 % of them.
    assert month["Poller, asking"][0] == pytest.approx(polls * quiet * 0.5)
    assert month["Poller, noting it"][0] == pytest.approx(polls * (few - quiet) * 4 / 14.4 * 0.5)
    assert month["Poller, telling"][0] == pytest.approx(polls * (few - quiet) * 3 / 14.4 * 0.5)
    assert month["ledger, read by polls"][0] == polls * 18
    assert month["ledger, written"][0] == pytest.approx(lives * 80)
    assert month["progress, written"][0] == pytest.approx(lives * 6)
    assert month["bucket, written"][0] == pytest.approx(lives * 7)
    assert month["bucket, read"][0] == pytest.approx(lives)
    assert month["Submitter, idle"][0] == pytest.approx(polls * 0.05)
    assert month["jobs, looked for"][0] == polls / 2
    assert month["metrics"][0] == 1
    assert month["alarms"][0] == 5


def test_more_batches_than_were_measured_take_as_much_more() -> None:
    month = amounts(10_000, (QUIET, FEW), LIFE, FIXED, LATENCY)

    assert month["ledger, read by polls"][0] == pytest.approx(43_800 * 180)


def test_fewer_batches_than_were_measured_take_a_poll_of_those_measured() -> None:
    month = amounts(10, (QUIET, FEW), LIFE, FIXED, LATENCY)

    assert month["ledger, read by polls"][0] == 43_800 * 18
    assert month["ledger, written"][0] == pytest.approx(10 * 730 / 24 * 80)


def test_a_bill_has_a_price_for_everything() -> None:
    prices = json.loads(PRICES.read_text())["prices"]
    month = amounts(10, (QUIET, FEW), LIFE, fixed_of(read_template()), LATENCY)
    lines = bill(month, {name: price["dollars"] / price["per"] for name, price in prices.items()})

    assert {each.of for each in month.values()} == {*prices}
    assert lines["secret"].dollars == pytest.approx(0.40)
    assert {line.purpose for line in lines.values()} == {*PURPOSES}
    assert lines["schedule"].dollars == pytest.approx(2 * 0.0438)


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    sdk = Figure("SDK", 10_000, None, 10_000, 535.7, 57_000_000, extrapolated_from=1000)
    figures = Figures({"date": "2026-11-21", "latency": 0.05}, [QUIET, FEW, sdk])
    kept = tmp_path / "figures.json"
    kept.write_text(figures.to_json())

    assert Figures.read(kept) == figures

    kept.write_text(json.dumps({"machine": {}, "sweep": json.loads(figures.to_json())}))
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


def test_waits_are_summed_up_by_their_spread() -> None:
    waits = Waits.of([float(second) for second in range(200, 0, -1)], by_webhook=7)

    assert waits == Waits(200, 7, shortest=1, median=100.5, p90=180, p99=198, longest=200)


def test_starts_are_compared_by_their_medians() -> None:
    starts = {
        "poller": [{"imported": seconds} for seconds in (0.5, 9.0, 0.6)],
        SDK: [{"imported": seconds} for seconds in (1.1, 1.2, 7.0)],
    }

    found = medians(starts)

    assert found["poller"] == {"imported": 0.6, "ratios": {"imported": 0.5}}
    assert found[SDK] == {"imported": 1.2, "ratios": {"imported": 1.0}}


def test_without_a_name_all_are_measured_and_one_that_fails_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def count(given: argparse.Namespace) -> list[int]:
        return [given.size // 2, given.size]

    def fail(given: argparse.Namespace) -> list[int]:
        raise RuntimeError(f"no {given.what} today")

    size = {"--size": {"type": int, "default": 50}}
    counted = Subject("counts", "", count, print, size, reduced=("--size", "4"))
    subjects = {
        "early": counted,
        "broken": counted._replace(measure=fail),
        "alone": counted._replace(reduced=None),
        "late": counted,
    }
    kept = tmp_path / "all.json"

    assert run(["--json", str(kept)], subjects) == 1
    said = capsys.readouterr()
    assert said.out.split() == ["4", "4"]
    assert "no broken today" in said.err
    figures = json.loads(kept.read_text())
    assert {"processors", "memory", "python", "versions"} <= figures.pop("machine").keys()
    assert figures == {"early": 4, "late": 4}

    assert run(["alone", "--json", str(kept)], subjects) == 0
    assert json.loads(kept.read_text())["alone"] == 50


@pytest.mark.parametrize("name", SUBJECTS)
def test_each_subject_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run([name, *(SUBJECTS[name].reduced or ()), "--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in (*SUBJECTS[name].options, "--json"))


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


@pytest.mark.full
def test_the_documents_show_the_bill_that_the_benchmark_computes() -> None:
    costs = cost(Figures.read(COMMITTED))
    lines = ["| " + " | ".join(cells) + " |" for cells in summary(costs)]

    for document in ("README.md", "docs/measurements.md"):
        assert "\n".join(lines) in (ROOT / document).read_text()


def test_the_documents_show_one_bill() -> None:
    bills = [
        re.findall(r"^\| (?:fixed|watching|progress noted|together).*$", text, re.MULTILINE)
        for text in ((ROOT / name).read_text() for name in ("README.md", "docs/measurements.md"))
    ]

    assert len(bills[0]) == 4
    assert bills[0] == bills[1]
