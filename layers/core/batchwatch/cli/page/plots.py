"""The plots of the status page as SVG. Pure.

Across, everything is in percent, so that a plot fills the room it has while its text keeps its
size; down, in pixels. What stands left of the plot (negative x) lies in the margin that the style
leaves there.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from batchwatch.cli.page.figures import DAY, END, HOUR, Outcome
from batchwatch.notify.wording import duration, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchwatch.cli.page.figures import Histogram, Span

HEIGHT = 168
_LABELS = 22  # pixels below the axis
_GAP = 0.22  # of the width of a bar's place
_WIDEST = 0.06  # of the width of the plot


def tag(name: str, *children: str, **attributes: object) -> Markup:
    """Write an element; `_` in a name of an attribute is `-`, behind it nothing."""
    named = (
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _short(value))
        for key, value in attributes.items()
        if value is not None
    )
    opened = Markup("<{}{}").format(Markup(name), Markup().join(named))  # noqa: S704 - our own names
    if not children:
        return opened + Markup("/>")
    inner = Markup().join(escape(child) for child in children)
    return opened + Markup(">{}</{}>").format(inner, Markup(name))  # noqa: S704 - ditto


def _short(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def percent(share: float) -> str:
    """`12.5%` of the room there is."""
    return f"{_short(100 * share)}%"


def plot(title: str, told: str, *children: Markup, height: int = HEIGHT) -> Markup:
    """Return a plot with what it says for those who do not see it."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", told),
        *children,
        class_="plot",
        role="img",
        width="100%",
        height=height + _LABELS,
    )


_ROUND = (1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10)


def ceiling(highest: float) -> float:
    """Return a round number at or above a value; the half of it is round, too."""
    if not 0 < highest < math.inf:
        return 1
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in _ROUND if step * power >= highest * (1 - 1e-9))


def even(highest: float) -> float:
    """Return a round even number at or above a value, so that its half is a whole one."""
    top = max(2, ceiling(highest))
    while top % 2:
        top = ceiling(top + 1)
    return top


def scale(top: float, say: Callable[[float], str], floor: float = 0) -> Markup:
    """Draw the lines at the bottom, the middle and the top, with their numbers."""
    drawn = Markup()
    for share in (0, 0.5, 1):
        y = HEIGHT * (1 - share) if share else HEIGHT
        drawn += tag("line", x1=0, x2="100%", y1=y, y2=y, class_="base" if not share else "grid")
        drawn += tag("text", say(floor + share * (top - floor)), x=-8, y=y + 4, class_="y")
    return drawn


def moment(at: float) -> datetime:
    """Return a time as a date; the nearest there is, where clocks or providers tell of none."""
    return datetime.fromtimestamp(min(max(0, at), END), tz=UTC)


def day(at: float) -> str:
    """`3 Nov`."""
    date = moment(at)
    return f"{date.day} {date:%b}"


def hour(at: float) -> str:
    """`14:00`."""
    return f"{moment(at):%H:%M}"


def occasion(span: Span) -> str:
    """`on 3 Nov`, `at 14:00`, `from 3 Nov`: when that was."""
    if span.seconds < DAY:
        return f"at {hour(span.start)}"
    return f"{'on' if span.seconds == DAY else 'from'} {day(span.start)}"


_EVERY = {HOUR: (1, 2, 3, 6, 12), DAY: (1, 2, 7, 14)}


def _dates(spans: Sequence[Span]) -> Markup:
    """Name about five of the days or hours, the last among them."""
    count, seconds = len(spans), spans[0].seconds
    steps = (each for each in _EVERY.get(seconds, ()) if count <= 5 * each)
    step = next(steps, max(1, math.ceil(count / 5)))
    name = hour if seconds < DAY else day
    drawn = Markup()
    for place in range(count - 1, -1, -step):
        last = place == count - 1 and count > 1
        drawn += tag(
            "text",
            name(spans[place].start),
            x="100%" if last else percent((place + 0.5) / count),
            y=HEIGHT + 17,
            class_="x end" if last else "x",
        )
    return drawn


def _bar(place: int, count: int, y: float, height: float, class_: str) -> Markup:
    wide = min(1 - _GAP, _WIDEST * count)
    x = (place + (1 - wide) / 2) / count
    return tag("rect", x=percent(x), y=y, width=percent(wide / count), height=height, class_=class_)


def by_day(spans: Sequence[Span], title: str, told: str) -> Markup:
    """Draw batches by day, what became of them stacked: well at the bottom."""
    top = even(max(span.total for span in spans))
    drawn = scale(top, lambda value: number(round(value)))
    for place, span in enumerate(spans):
        below = 0
        for each in Outcome:
            if count := span.outcomes[each]:
                y, height = HEIGHT * (1 - (below + count) / top), HEIGHT * count / top
                drawn += _bar(place, len(spans), y, height, f"o-{each}")
                below += count
    return plot(title, told, drawn, _dates(spans))


def cost_by_day(spans: Sequence[Span], title: str, told: str) -> Markup:
    """Draw dollars by day."""
    top = ceiling(max(span.cost for span in spans))
    drawn = scale(top, dollars)
    for place, span in enumerate(spans):
        if span.cost > 0:
            height = max(1.0, HEIGHT * span.cost / top)
            drawn += _bar(place, len(spans), HEIGHT - height, height, "o-well")
    return plot(title, told, drawn, _dates(spans))


def dollars(amount: float) -> str:
    """`$1,204`, `$12.40`, `$0.0032`."""
    if 0 < amount < 0.01:  # noqa: PLR2004 - a cent
        return f"${amount:.4f}" if amount >= 0.0001 else "<$0.0001"  # noqa: PLR2004
    if amount >= 1000 or amount == int(amount):  # noqa: PLR2004 - from here on, cents are noise
        return f"${amount:,.0f}"
    return f"${amount:,.2f}"


def amounts(costs: Sequence[float]) -> list[str]:
    """Write dollars and, last, their sum, so that what is shown adds up to the sum that is shown.

    All have two decimals, or four where the sum is below a dollar; each is off by less than one of
    the last.
    """
    whole = math.fsum(costs)
    places = 2 if whole >= 1 else 4
    scaled = [cost * 10**places for cost in costs]
    units = [math.floor(each) for each in scaled]
    total = round(whole * 10**places)
    by_rest = sorted(range(len(costs)), key=lambda place: units[place] - scaled[place])
    for place in by_rest[: max(0, total - sum(units))]:
        units[place] += 1
    least = f"<${10**-places:.{places}f}"
    told = [
        least if cost > 0 and not unit else f"${unit / 10**places:,.{places}f}"
        for cost, unit in zip((*costs, whole), (*units, total), strict=True)
    ]
    return ["$0" if not cost else text for cost, text in zip((*costs, whole), told, strict=True)]


_FLOORS = (0.99, 0.95, 0.9, 0.8, 0.5, 0.0)


def rates(spans: Sequence[Span], title: str, told: str) -> Markup:
    """Draw which share of requests succeeded: a point a day, joined where days follow another."""
    known = {place: span.rate for place, span in enumerate(spans) if span.rate is not None}
    lowest = min(known.values())
    floor = next(each for each in _FLOORS if each <= lowest)
    count = len(spans)

    def at(place: int) -> tuple[str, float]:
        return percent((place + 0.5) / count), HEIGHT * (1 - (known[place] - floor) / (1 - floor))

    drawn = scale(1, share, floor)
    places = sorted(known)
    for before, after in pairwise(places):
        (x1, y1), (x2, y2) = at(before), at(after)
        class_ = "trend" if after == before + 1 else "trend gap"
        drawn += tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)
    worst = min(places, key=lambda place: known[place])
    for place in places:
        x, y = at(place)
        drawn += tag(
            "circle", cx=x, cy=y, r=4 if place == worst and lowest < 1 else 2.5, class_="dot"
        )
    if lowest < 1:
        x, y = at(worst)
        side = "end" if worst > count / 2 else "start"
        text = f"{share(lowest)} {occasion(spans[worst])}"
        drawn += tag(
            "text", text, x=x, y=y + 4, dx=-10 if side == "end" else 10, class_=f"say {side}"
        )
    return plot(title, told, drawn, _dates(spans))


def share(value: float) -> str:
    """`98.2%`; only all of it is 100%."""
    if value in {0, 1}:
        return f"{value:.0%}"
    return f"{min(99.9, max(0.1, round(100 * value, 1))):g}%"


def spread(sorted_in: Histogram, median: float, ninth: float, title: str, told: str) -> Markup:
    """Draw how durations are spread, by log scale, with the median and the 90th percentile."""
    top = HEIGHT - 44  # room for what is said above the bars
    highest = max(sorted_in.counts)
    count = len(sorted_in.counts)
    drawn = tag("line", x1=0, x2="100%", y1=HEIGHT, y2=HEIGHT, class_="base")
    for place, found in enumerate(sorted_in.counts):
        if found:
            height = max(1.5, top * found / highest)
            drawn += tag(
                "rect",
                x=percent((place + 0.06) / count),
                width=percent(0.88 / count),
                y=HEIGHT - height,
                height=height,
                class_="o-well",
            )
    for tick in sorted_in.ticks:
        at = sorted_in.place(tick)
        x = percent(at)
        drawn += tag("line", x1=x, x2=x, y1=HEIGHT, y2=HEIGHT + 4, class_="base")
        class_ = "x end" if at > 0.97 else "x"  # noqa: PLR2004 - at the very right
        drawn += tag("text", duration(tick), x=x, y=HEIGHT + 17, class_=class_)
    lines, texts = Markup(), Markup()
    # Right of its line stands only what lacks room left of it; the median's is shorter, and lower.
    told_of = (("90th percentile", ninth, 0.45), ("median", median, 0.3))
    for row, (name, value, room) in enumerate(told_of):
        at, y = sorted_in.place(value), 12 + 18 * row
        side, dx = ("end", -7) if at > room else ("start", 7)
        x = percent(at)
        lines += tag("line", x1=x, x2=x, y1=y - 10, y2=HEIGHT, class_="mark")
        texts += tag("text", f"{name} {duration(value)}", x=x, y=y, dx=dx, class_=f"say {side}")
    drawn += lines + texts
    return plot(title, told, drawn, height=HEIGHT)
