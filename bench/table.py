"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one result: what and where, a block for each case, what could not be had."""
    yield f"{result['bench']}: {result['about']}"
    if result["why_not"]:
        yield f"  not measured: {result['why_not']}"
        return
    yield from _circumstances(result)
    for case in result["cases"]:
        yield ""
        yield from _case(case, result)
    yield ""
    yield from (f"{name} is not measured: {why}" for name, why in result["refusals"].items())
    yield from result["notes"]


def _circumstances(result: Mapping[str, Any]) -> Iterator[str]:
    found = result["machine"]
    others = f", {found['busy_with_others']} of them busy with other work" if "busy_with_others" in found else ""
    yield (
        f"{found['when']}, {found['processor']}, {found['processors']} processors{others}, "
        f"load {found['load']} at the start, {found['memory'] / 2**30:.0f} GiB, {found['system']}"
    )
    yield ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    yield f"{result['options']['rounds']} rounds in turn, median (min–max); {result['seconds']:.0f} s in all"


def _case(case: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a heading and a line for each contestant."""
    measures = {
        name: measure for name, measure in result["measures"].items() if any(name in one for one in case["contestants"])
    }
    if not measures:
        return
    lead = next(iter(measures))
    beside = {
        one["name"]: one[lead]["median"] for one in case["contestants"] if one["name"] in result["beside"] and lead in one
    }
    rows = [[case["case"], *(_title(name, m) for name, m in measures.items()), *(f"of {name}" for name in beside)]]
    for one in case["contestants"]:
        cells = [_cell(one.get(name), measure, name == lead) for name, measure in measures.items()]
        rows.append([one["name"], *cells, *(_ratio(one.get(lead), of, measures[lead]) for of in beside.values())])
    yield from aligned(rows)


def aligned(rows: list[list[str]]) -> Iterator[str]:
    """Yield rows as lines, the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells]).rstrip()


def _title(name: str, measure: Mapping[str, Any]) -> str:
    title = name.replace("_", " ")
    return f"{title}, {measure['unit']}" if measure["unit"] else title


def _cell(found: Mapping[str, Any] | None, measure: Mapping[str, Any], with_range: bool) -> str:
    if found is None:
        return "–"
    median, low, high = (format(found[key] * measure["scale"], measure["format"]) for key in ("median", "min", "max"))
    return f"{median} ({low}–{high})" if with_range else median


def _ratio(found: Mapping[str, Any] | None, other: float, measure: Mapping[str, Any]) -> str:
    """How many times as fast, or as much, as the other one; more than 1 is better."""
    if found is None or not other or not found["median"]:
        return "–"
    ratio = found["median"] / other if measure["more_is_better"] else other / found["median"]
    return f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
