"""Table I drawn from the built networks, and where a network's multiply-adds go, stage by stage."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from analysis.evidence import Evidence
from analysis.tabular.cells import NOT_MEASURED, Cell, Column, Row, State, Table, from_print, label
from analysis.tabular.cost_cells import LIVE_NOTE, params
from bench.counts.conventions import round_printed
from bench.records.record import Record
from bench.records.reported import Reported, captions
from dpn import dilation

NETWORKS = ("dpn4_32", "dpn4_64")
STAGES = ("conv0", "pooling", "conv1", "conv2", "dpm.1", "dpm.2", "dpm.3", "dpm.4", "fuse", "upsample", "heatmap")
"""The parts of a DPN in execution order, as its modules are named."""


@dataclass(frozen=True)
class Layer:
    """One counted operator of a built network, from its `layers` record."""

    module: str
    kernel: Sequence[int]
    out_channels: int
    dilation: Sequence[int]
    macs: int
    live_macs: int
    params: int
    activations: int
    weight_bytes: int
    activation_bytes: int


def layers_of(record: Record) -> list[Layer]:
    """The operators of a network in execution order."""
    columns = record.detail["columns"]
    names = Layer.__dataclass_fields__
    return [Layer(*values) for values in zip(*(columns[name] for name in names), strict=True)]


def in_stage(layers: Sequence[Layer], stage: str) -> list[Layer]:
    """The operators of a part and its parts."""
    return [layer for layer in layers if layer.module == stage or layer.module.startswith(f"{stage}.")]


def describe(layers: Sequence[Layer]) -> str:
    """A stage in the words of Table I: blocks in brackets with their number, then single convolutions.

    Shortcut projections are not listed, as in the table; nor is the dilation, which its caption gives.
    """
    parts: list[str] = []
    blocks = [(_block(layer.module), layer) for layer in layers if ".downsample." not in layer.module]
    for name, group in groupby(blocks, key=lambda pair: pair[0]):
        shapes = [f"{'x'.join(map(str, layer.kernel))}, {layer.out_channels}" for _, layer in group]
        parts.append(f"[{'; '.join(shapes)}]" if name else "; ".join(shapes))
    counted = [(text, len(list(same))) for text, same in groupby(parts)]
    return "; ".join(f"{text} x{times}" if times > 1 else text for text, times in counted)


def _block(module: str) -> str:
    """The bottleneck that a convolution belongs to, or nothing."""
    match = re.fullmatch(r"(.+\.\d+)\.conv[123]", module)
    return match[1] if match else ""


def table_1(evidence: Evidence) -> Table:
    """Table I as printed, beside the same table drawn from the networks that were built and counted."""
    printed = evidence.reported["table-1"]
    records = {name: evidence.record(name, "layers") for name in NETWORKS}
    rows = []
    for row in printed.rows[1:-1]:
        stage = row.replace("dpm", "dpm.") if row.startswith("dpm") else row
        size = printed.cell(row, "output_size")
        cells: dict[str, Cell] = {"layer": label(printed.cell(row, "layer").printed), "size": from_print(size)}
        cells["size_built"] = _built(records["dpn4_64"], size, _size(records["dpn4_64"], stage))
        for name in NETWORKS:
            cell = printed.cell(row, name)
            cells[name] = from_print(cell)
            cells[f"{name}_built"] = _built(records[name], cell, _words(records[name], stage))
        rows.append(Row(row, cells))
    rows.insert(-1, _unprinted(records))
    total: dict[str, Cell] = {"layer": label("#Params"), "size": label("–"), "size_built": label("–")}
    for name in NETWORKS:
        cell = printed.cell("params", name)
        total[name] = from_print(cell)
        total[f"{name}_built"] = params(evidence, name, cell)
    rows.append(Row("params", total, rule_above=True))
    columns = [
        Column(id="layer", label="Layer", align="left"),
        Column(id="size", label="printed", group="output size", align="left"),
        Column(id="size_built", label="built", group="output size", align="left"),
    ]
    for name in NETWORKS:
        columns.append(Column(id=name, label="printed", group=name.upper(), align="left"))
        columns.append(Column(id=f"{name}_built", label="built", group=name.upper(), align="left"))
    return Table(
        id="table-1",
        title="Table I",
        caption=captions()["table-1"],
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(
            "Built: read from the operators that ran when the network was counted; parameters in millions.",
            "fuse: a 1x1 convolution that Table I does not list and the published costs imply; its place is a choice.",
            f"Dilations of a module's six 3x3 convolutions, as built: {_dilations(records['dpn4_64'])}.",
            "The window of the pooling is not recorded, and not compared.",
        ),
    )


def _unprinted(records: Mapping[str, Record | None]) -> Row:
    """The row that the built networks have and Table I lacks."""
    cells: dict[str, Cell] = {"layer": label("fuse"), "size": label("–")}
    cells["size_built"] = _plain(records["dpn4_64"], _size(records["dpn4_64"], "fuse"))
    for name in NETWORKS:
        cells[name] = label("–")
        cells[f"{name}_built"] = _plain(records[name], _words(records[name], "fuse"))
    return Row("fuse", cells)


def _size(record: Record | None, stage: str) -> str | None:
    """Height x width of a stage's output."""
    if record is None or stage not in record.detail["maps"]:
        return None
    return "x".join(map(str, record.detail["maps"][stage][1:]))


def _words(record: Record | None, stage: str) -> str | None:
    """A stage as built, in Table I's words."""
    if record is None:
        return None
    maps: dict[str, Any] = record.detail["maps"]
    found = in_stage(layers_of(record), stage)
    if stage == "pooling":
        return f"max pool, {_ratio(maps['conv0'], maps['pooling'])}"
    text = describe(found)
    if stage == "conv0":
        return f"{text}, {_ratio(record.protocol['input_hw'], maps['conv0'][1:], axes=(0, 0))}"
    if stage == "heatmap" and "upsample" in maps:
        factor = maps["upsample"][1] // maps["fuse"][1] if "fuse" in maps else 1
        return f"upsample x{factor}; {text}" if factor > 1 else text
    return text


def _ratio(before: Any, after: Any, axes: tuple[int, int] = (1, 1)) -> str:
    return f"stride {before[axes[0]] // after[axes[1]]}"


def _plain(record: Record | None, text: str | None) -> Cell:
    if record is None or text is None:
        return NOT_MEASURED
    return Cell(text=text, value=text, state="measured", record=record, how="read from the operators that ran")


def _built(record: Record | None, printed: Reported, text: str | None) -> Cell:
    """A stage as built beside its print; spelling aside, the two must say the same."""
    if record is None or text is None:
        return NOT_MEASURED
    state: State = "match" if _spelled(text) == _spelled(printed.printed) else "differs"
    how = "read from the operators that ran"
    return Cell(text=text, value=text, state=state, reported=printed, record=record, how=how)


def _spelled(text: str) -> str:
    """Without white space; the size of a pooling window is not in the record, so it is not compared."""
    return re.sub(r"\s", "", text.lower()).replace("3x3maxpool", "maxpool")


def _dilations(record: Record | None) -> str:
    if record is None:
        return "not measured"
    return ", ".join(str(layer.dilation[0]) for layer in in_stage(layers_of(record), "dpm.1") if layer.kernel[0] == 3)


def table_fields(_: Evidence) -> Table:
    """Receptive fields of the paper's schedules by its own equations."""
    rows: list[Row] = []
    for name, dilations in dilation.SCHEDULES.items():
        cells = {"schedule": label(dilation.described(name)), "eq6": label("")}
        if dilations == dilation.pyramid():
            cells["eq6"] = Cell(text=str(dilation.rf_pyramid()), value=dilation.rf_pyramid(), how="Eq. 6")
        for modules in (1, 2, 3, 4):
            rf = dilation.rf_of_schedule(dilations, modules=modules)
            cells[f"m{modules}"] = Cell(text=str(rf), value=rf, how=f"Eq. 2 over {6 * modules} layers")
        rows.append(Row(f"schedule-{len(rows) + 1}", cells))
    return Table(
        id="table-fields",
        title="Receptive fields by the paper's equations",
        caption="Positions along one axis, of the map that the modules read, that one output depends on.",
        columns=(
            Column(id="schedule", label="Dilations of a module", align="left"),
            *(Column(id=f"m{m}", label=str(m), group="modules in a row, Eq. 2") for m in (1, 2, 3, 4)),
            Column(id="eq6", label="Eq. 6"),
        ),
        rows=tuple(rows),
        notes=("Shortcuts and 1x1 convolutions add nothing. The extent says nothing of holes inside it.",),
    )


def table_stages(evidence: Evidence) -> Table:
    """Where the multiply-adds, parameters and bytes of DPN4_64 and DPN4_32 go, stage by stage."""
    rows: list[Row] = []
    for name in reversed(NETWORKS):
        record = evidence.record(name, "layers")
        if record is None:
            continue
        layers = layers_of(record)
        total = sum(layer.macs for layer in layers)
        for stage in STAGES:
            if found := in_stage(layers, stage):
                cells = _stage_cells(record, found, total) | {"network": label(name), "stage": label(stage)}
                rows.append(Row(f"{name}/{stage}", cells, rule_above=stage == "conv0" and bool(rows)))
        cells = _stage_cells(record, layers, total) | {"network": label(name), "stage": label("all")}
        rows.append(Row(f"{name}/all", cells))
    return Table(
        id="table-stages",
        title="Costs by stage",
        caption="Where the costs of the two proposed networks go, for one 256x192 image.",
        columns=(
            Column(id="network", label="Network", align="left"),
            Column(id="stage", label="Stage", align="left"),
            Column(id="params", label="parameters"),
            Column(id="macs", label="MACs (10^6)"),
            Column(id="share", label="share (%)"),
            Column(id="live", label="live (%)"),
            Column(id="activations", label="activations", hide_on_phone=True),
            Column(id="intensity", label="FLOP/byte", hide_on_phone=True),
        ),
        rows=tuple(rows),
        notes=(
            "Parameters of the counted operators themselves, without batch norm.",
            LIVE_NOTE,
            "FLOP/byte: two operations for each multiply-add, over the bytes of weights and maps read and written "
            "in float32, each operator on its own.",
        ),
    )


def _stage_cells(record: Record, layers: Sequence[Layer], total: int) -> dict[str, Cell]:
    def sum_of(name: str) -> int:
        return sum(getattr(layer, name) for layer in layers)

    def cell(value: int | Fraction, text: str) -> Cell:
        how = f"sum over {len(layers)} operators of the record"
        return Cell(text=text, value=value, state="measured", record=record, how=how)

    macs = sum_of("macs")
    share, live = Fraction(100 * macs, total), Fraction(100 * sum_of("live_macs"), macs)
    intensity = Fraction(2 * macs, sum_of("weight_bytes") + sum_of("activation_bytes"))
    return {
        "params": cell(sum_of("params"), f"{sum_of('params'):,}"),
        "macs": cell(macs, round_printed(Fraction(macs, 10**6), 1)),
        "share": cell(share, round_printed(share, 1)),
        "live": cell(live, round_printed(live, 1)),
        "activations": cell(sum_of("activations"), f"{sum_of('activations'):,}"),
        "intensity": cell(intensity, round_printed(intensity, 1)),
    }
