"""The chapter on receptive fields and gridding: its tables and its answer, from the exact engine and from records."""

import math
from functools import cache
from typing import cast

from analysis.claims.audit import COLUMNS, audit, finding_row
from analysis.evidence import Evidence
from analysis.receptive_fields.gridding import Gridding, gridding
from analysis.tabular.cells import NOT_MEASURED, Cell, Column, Row, Table, label
from analysis.tabular.printed_words import short_name
from bench.records.record import Record
from dpn import dilation
from dpn.input_size import hw_text

MAP_HW = (32, 24)
"""Maps of the modules at the paper's default resolution (Table I)."""

CLAIMS = (
    "field-grows-multiplicatively", "avoids-gridding", "half-of-the-pixels", "equation-6", "field-is-complete",
    "modules-grow-multiplicatively", "much-larger-field", "larger-field-than-stacked", "reversed-same-field",
    "reversed-grids", "stacked-reversed-decreases",
)  # fmt: skip
"""The paper's statements about receptive fields and gridding, by their ids in the audit."""


@cache
def of_schedule(name: str) -> Gridding:
    """What is told of one of `dilation.SCHEDULES`, one module on a map of the paper's default size."""
    return gridding(dilation.SCHEDULES[name], MAP_HW)


def table_gridding(_: Evidence) -> Table:
    """How one module of each schedule reads its maps."""
    rows: list[Row] = []
    for name in dilation.SCHEDULES:
        found = of_schedule(name)
        rows.append(
            Row(f"schedule-{len(rows) + 1}", {"schedule": label(dilation.described(name)), **_gridding_cells(found)})
        )
    return Table(
        id="table-gridding",
        title="Gridding, by schedule",
        caption="One module. What one output reads, on maps without ends; the last two columns on a 32x24 map.",
        columns=(
            Column(id="schedule", label="Dilations of a module", align="left"),
            Column(id="rf", label="field"),
            Column(id="read", label="read (%)"),
            Column(id="coverage", label="on average", group="all maps", hide_on_phone=True),
            Column(id="overlap", label="shared with neighbour (%)", group="all maps"),
            Column(id="phases", label="decoupled groups", group="all maps"),
            Column(id="gap", label="longest gap", hide_on_phone=True),
            Column(id="hdc", label="HDC rule", align="left", hide_on_phone=True),
            Column(id="effective", label="effective inputs (%)"),
            Column(id="live", label="live (%)"),
        ),
        rows=tuple(rows),
        notes=(
            "field: positions along one axis from the first to the last that an output reads. read: the share of that "
            "square that it does read. on average: the same on an axis, mean over the maps below the output (%).",
            "shared with neighbour: what two neighbouring outputs both read of a map between input and output, mean "
            "over these maps. decoupled groups: outputs of different groups share nothing of some map between.",
            "HDC rule: of Wang et al. (2018), as printed. It passes D = 2 at 27 % coverage and fails DPM, which reads "
            "everything, so it decides nothing here.",
            "effective inputs: two to the power of the entropy of the paths to an output, over the map's area. live: "
            "share of the 3x3 multiply-adds that meet data.",
        ),
    )


def _gridding_cells(found: Gridding) -> dict[str, Cell]:
    maps = f"exact, stack of {len(found.dilations)} layers, kernel {found.kernel}"
    bounded = f"{maps}, on {MAP_HW[0]}x{MAP_HW[1]}"
    between = [row.phases_2d or 1 for row in found.maps[1:-1]]
    gap = max(row.largest_gap for row in found.maps[:-1])
    effective, live = found.bounded[0].effective_share, found.live_share or 0.0
    read, overlap = found.maps[0].backward_coverage_2d, found.mean_interior_overlap or 0.0
    return {
        "rf": Cell(text=str(found.rf), value=found.rf, how=maps),
        "read": Cell(text=_percent(read), value=read, how=maps),
        "coverage": Cell(text=_percent(found.mean_backward_coverage), value=found.mean_backward_coverage, how=maps),
        "overlap": Cell(text=_percent(overlap), value=overlap, how=maps),
        "phases": Cell(text=f"{max(between):,}", value=max(between), how=maps),
        "gap": Cell(text=str(gap), value=gap, how=maps),
        "hdc": Cell(text="passes" if found.hdc.passes else "fails", value=str(found.hdc.passes), how=maps),
        "effective": Cell(text=_percent(effective), value=effective, how=bounded),
        "live": Cell(text=_percent(live), value=live, how=bounded),
    }  # fmt: skip


def table_field_claims(evidence: Evidence) -> Table:
    """The audit's findings on receptive fields and gridding."""
    findings = {finding.id: finding for finding in audit(evidence)}
    columns = tuple(column for column in COLUMNS if column.id != "place")
    return Table(
        id="table-field-claims",
        title="What the paper says of its fields",
        caption="Its statements on receptive fields and gridding, with their exact verdicts.",
        columns=columns,
        rows=tuple(finding_row(findings[name], columns) for name in CLAIMS),
        stacked=True,
        notes=("The audit of all statements is in a chapter of its own.",),
    )


def table_sees(evidence: Evidence) -> Table:
    """How much of the image each network of Tables VI and VII sees."""
    rows: list[Row] = []
    for name in ("table-6", "table-7"):
        table = evidence.reported[name]
        for row in table.rows:
            cell = table.cell(row, "params")
            if cell.subject in evidence.zoo:
                title = short_name(table.cell(row, table.columns[0]).printed)
                cells = _sees(evidence.record(cell.subject, "receptive_field"))
                cells |= {"network": label(title), "input": label(hw_text(evidence.zoo[cell.subject].input_hw))}
                rows.append(Row(f"{name}/{row}", cells, rule_above=bool(rows) and name not in rows[-1].id))
    return Table(
        id="table-sees",
        title="What the compared networks see",
        caption="Rows of the image, beyond its edges too, that a unit of the output depends on: the most of any unit.",
        columns=(
            Column(id="network", label="Network", align="left"),
            Column(id="input", label="Input"),
            Column(id="rows", label="rows seen"),
            Column(id="times", label="times the image"),
            Column(id="depth", label="convolutions deep"),
            Column(id="about", label="", align="left", hide_on_phone=True),
        ),
        rows=tuple(rows),
        notes=(
            "Traced operator by operator; holes and padding count. Depth is the longest way from the image. Where a "
            "network returns several maps, its output is the heatmaps.",
        ),
    )


def _sees(record: Record | None) -> dict[str, Cell]:
    if record is None:
        return {**dict.fromkeys(("rows", "times", "depth"), NOT_MEASURED), "about": label("")}
    depth = cast(int, record.detail["depth"])
    reason = str(record.detail.get("reason", ""))
    cells = {
        "depth": Cell(text=str(depth), value=depth, state="measured", record=record, how="of the output"),
        "about": label(reason.split(":")[0] if record.complete else reason),
    }
    if not record.complete:
        absent = Cell(text="–", value=None, state="missing", record=record, how=reason)
        return cells | {"rows": absent, "times": absent}
    height, _ = cast(list[int], record.protocol["input_hw"])
    times = record.value / height
    return cells | {
        "rows": Cell(text=f"{record.value:,}", value=record.value, state="measured", record=record),
        "times": Cell(text=f"{times:.1f}", value=times, state="measured", record=record, how="over the image's rows"),
    }


def answer(_: Evidence) -> str:
    """Chapter 3."""
    dpm, reverse, eight = (of_schedule(name) for name in ("DPM", "reversed", "D = 8"))
    complete = "reads every" if dpm.maps[0].backward_coverage == 1 else "does not read every"
    same = "the same" if reverse.maps[0].backward_read == dpm.maps[0].backward_read else "another"
    groups = max(row.phases_2d or 1 for row in reverse.maps[1:-1])
    on_map = math.prod(min(side, math.isqrt(groups)) for side in MAP_HW)
    shared = [row.overlap for row in dpm.maps[1:-1] if row.overlap is not None]
    first, least = dpm.layers[0], min(dpm.maps[0].most_paths, dpm.maps[0].centre_paths)
    widest = "a 1x1 convolution in effect" if first.is_1x1 else "no 1x1 convolution"
    return (
        f"DPM has no holes: one output {complete} position of its {dpm.rf}x{dpm.rf} field, unevenly in a single module "
        f"({least} path from the centre of an axis, {dpm.maps[0].most_paths} from where most come), while D = 8 reads "
        f"{_percent(eight.maps[0].backward_coverage_2d)} % of its own. The reversed module covers {same} field with "
        f"different wiring: of the maps inside it, two outputs side by side share "
        f"{_percent(reverse.mean_interior_overlap or 0)} % of what they read, those of DPM "
        f"{_percent(dpm.mean_interior_overlap or 0)} % on average and nowhere less than {_percent(min(shared))} %. Its "
        f"outputs fall into up to {groups:,} groups, {on_map} on the paper's 32x24 map, of which no two have a value "
        f"of some map inside in common. On the paper's map the widest layer is {widest}, and "
        f"{_percent(dpm.live_share or 0)} % of a module's 3x3 multiply-adds meet data."
    )


def _percent(share: float) -> str:
    """A share in percent with one decimal, without it where it is a whole number."""
    return f"{100 * share:.1f}".removesuffix(".0")
