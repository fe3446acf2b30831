"""Exact receptive fields of networks as records: traced once, kept beside the counts, checked like them.

The page is made without torch, so what a network's graph says of its fields is measured into the store first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.receptive_fields.axes import UnboundedError, Window
from analysis.receptive_fields.field_graph import Extent, Map, UnavailableError
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.records.record import Record
from bench.subject import Subject
from dpn.program.progress import progress

Row = tuple[int, int, int | None, int, int]
"""Depth, height of the map, rows of the image that a unit reads (None: cannot be told), kernel, dilation."""


def measure_fields(subjects: Sequence[Subject], records: Path, *, write: bool = True) -> int:
    """Traces networks, adds the records that the store lacks and checks those it has; returns an exit code."""
    from bench.recording import counting
    from bench.sweeps.measuring import open_store

    store, outcome = open_store(records, write=write), counting.Outcome()
    with progress("tracing", len(subjects)) as bar:
        for subject in subjects:
            bar.advance(0, subject.name)
            counting.add_or_verify(field_record(subject), store, outcome, write=write)
            bar.advance(1)
    for line in outcome.differing:
        print(f"differs: {line}")
    print(f"{len(subjects)} networks traced: {outcome.verified} stored records verified, {outcome.added} "
          f"{'added' if write else 'missing'}, {len(outcome.differing)} differ")  # fmt: skip
    return 1 if outcome.differing or (not write and outcome.added) else 0


def field_record(subject: Subject) -> Record:
    """The record of a network's exact receptive fields, for one image of the subject's size."""
    from analysis.receptive_fields.field_trace import trace_subject
    from bench.recording import counting

    net, graph = trace_subject(subject)
    output = graph.index("output")
    detail = profile(graph) | {"depth": depths(graph)[output]}
    size, reason = rows_read(graph, output)
    if size is None and graph.problems(output):
        known = [rows_read(graph, index)[0] or 0 for index in graph.ancestors(output)]
        reason = f"{reason}; maps before it read up to {max(known):,} rows"
    if reason:
        detail["reason"] = reason
    return counting.make_record(
        subject, subject.digest(net), "receptive_field", size or 0, detail, complete=size is not None
    )


def rows_read(graph: FieldGraph, index: int) -> tuple[int | None, str]:
    """Rows of the image that a unit of a map reads, and what is to be said of that number.

    Where branches disagree on the stride, units differ, and the number is that of the map's central unit.
    """
    found = graph.extents().get(index, "it does not depend on the image")
    if isinstance(found, Extent):
        return found.size_hw[0], ""
    try:
        return graph.central_hw(index)[0], f"of the central unit: {found}"
    except (UnboundedError, UnavailableError):
        return None, found


def depths(graph: FieldGraph) -> list[int]:
    """For each map the convolutions on the longest way from the image."""
    found: list[int] = []
    for one in graph.maps:
        found.append(max((found[s] for s in _sources(one)), default=0) + one.convolves)
    return found


def _sources(one: Map) -> list[int]:
    return [edge.source for edge in one.edges] or list(one.sources)


def profile(graph: FieldGraph) -> dict[str, Any]:
    """How a network's convolutions lie: their depth, their maps' height, what they read of the image, who reads whom.

    Convolutions of equal depth, height, field, kernel and dilation are one row.

    Returns:
        columns: depth (convolutions on the longest way from the image), height, rows_read, kernel, dilation, module
            (the first of the row), convolutions.
        links: pairs of rows, where the second reads the first with no convolution between.
    """
    rows: dict[Row, tuple[int, str]] = {}
    counts: dict[int, int] = {}
    depth_of: dict[int, int] = {}
    links: dict[tuple[int, int], None] = {}
    depth = depths(graph)
    last: list[dict[int, int]] = []  # for each map, by height, the deepest rows that it holds
    for index, one in enumerate(graph.maps):
        below = _deepest([last[s] for s in _sources(one)], depth_of)
        if not one.convolves:
            last.append(below)
            continue
        row = (depth[index], one.shape[1], rows_read(graph, index)[0], *_window(one))
        number, _ = rows.setdefault(row, (len(rows), one.module))
        depth_of[number] = depth[index]
        counts[number] = counts.get(number, 0) + 1
        links |= dict.fromkeys((other, number) for other in below.values())
        last.append({one.shape[1]: number})
    columns: dict[str, list[Any]] = {
        name: list(values) for name, values in
        zip(("depth", "height", "rows_read", "kernel", "dilation"), zip(*rows, strict=True), strict=True)
    }  # fmt: skip
    columns["module"] = [module for _, module in rows.values()]
    columns["convolutions"] = [counts[number] for number, _ in rows.values()]
    return {"columns": columns, "links": [list(link) for link in links]}


def _deepest(held: Sequence[dict[int, int]], depths: Mapping[int, int]) -> dict[int, int]:
    """Of several maps' rows the deepest of each height."""
    found: dict[int, int] = {}
    for one in held:
        for height, row in one.items():
            if height not in found or depths[row] > depths[found[height]]:
                found[height] = row
    return found


def _window(one: Map) -> tuple[int, int]:
    """Kernel and dilation along the rows."""
    rule = one.edges[0].y if one.edges else Window(0)
    window = getattr(rule, "window", rule)
    return (window.kernel, window.dilation) if isinstance(window, Window) else (0, 0)
