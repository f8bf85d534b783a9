"""How a cost grows: the exponent that fits, and a drawing of costs against size, both axes logarithmic, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 360, 70, 170, 40, 40
COLOURS = ("#0b7285", "#c92a2a", "#5f3dc4", "#2b8a3e", "#e67700", "#364fc7")
Points = Sequence[tuple[float, float]]


def exponent(points: Points) -> float:
    """Return ``b`` of the ``a * x ** b`` that fits best: least squares of the logarithms. 0: flat; 1: in proportion to x."""
    xs, ys = ([math.log(value) for value in side] for side in zip(*points, strict=True))
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def drawing(title: str, unit: str, lines: Mapping[str, Points]) -> str:
    """Return an SVG with one line for each cost, named with its exponent. ``unit`` is that of the costs."""
    x_low, x_high = _decades([x for points in lines.values() for x, _ in points])
    y_low, y_high = _decades([y for points in lines.values() for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for power in range(x_low, x_high + 1):
        (x, bottom), (_, top) = place(10.0**power, 10.0**y_low), place(10.0**power, 10.0**y_high)
        parts += [
            _rule(x, bottom, x, top),
            f'<text x="{x:.0f}" y="{bottom + 18:.0f}" text-anchor="middle">{10**power:,}</text>',
        ]
    for power in range(y_low, y_high + 1):
        (left, y), (right, _) = place(10.0**x_low, 10.0**power), place(10.0**x_high, 10.0**power)
        parts += [
            _rule(left, y, right, y),
            f'<text x="{left - 6:.0f}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g} {unit}</text>',
        ]
    parts += _lines(lines, place)
    return "\n".join([*parts, "</svg>\n"])


def _lines(lines: Mapping[str, Points], place: object) -> Iterator[str]:
    ends = sorted((place(*points[-1])[1], name) for name, points in lines.items())  # type: ignore[operator]
    heights, last = {}, float("-inf")
    for y, name in ends:
        heights[name] = last = max(y, last + 14)  # names do not cover each other
    for colour, (name, points) in zip(COLOURS * len(lines), lines.items(), strict=False):
        where = [place(x, y) for x, y in points]  # type: ignore[operator]
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in where)}"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in where)
        label = f"{escape(name)} ^{exponent(points):.2f}"
        yield f'<text x="{WIDTH - RIGHT + 10}" y="{heights[name] + 4:.0f}" fill="{colour}">{label}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#dee2e6"/>'


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten between which all values lie, at least one apart."""
    low = math.floor(math.log10(min(values)) + 1e-9)
    return low, max(low + 1, math.ceil(math.log10(max(values)) - 1e-9))
