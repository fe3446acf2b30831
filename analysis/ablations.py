"""Tables II-V: the paper's ablations, AP as reported beside costs as measured."""

from collections.abc import Iterator

from analysis.cells import Cell, Column, Row, Table, from_print, from_record, label
from analysis.cost_cells import COST_NOTE, GIMACS, LIVE_NOTE, cost, in_millions, live_share, title
from analysis.evidence import Evidence
from bench.reported import HEADER, Reported, captions


def table_2(evidence: Evidence) -> Table:
    """Normal convolution against DPM: AP as reported, costs as measured."""
    return _ablation(evidence, "table-2", note="Both schemes cost the same; what differs is how many taps meet data.")


def table_3(evidence: Evidence) -> Table:
    """Constant dilations against DPM: AP as reported, costs as measured."""
    return _ablation(evidence, "table-3", note="All schemes of one network cost the same.")


def table_4(evidence: Evidence) -> Table:
    """Resolutions: AP as reported, the reported costs beside measured ones."""
    return _ablation(
        evidence,
        "table-4",
        note="The high-resolution costs are met only if the head keeps its upsampling there (heatmaps of 128x96).",
    )


def table_5(evidence: Evidence) -> Table:
    """The reversed module against DPM: AP as reported, costs as measured."""
    return _ablation(evidence, "table-5", note="The reversed module has DPM's parameters, costs and live taps.")


def _ablation(evidence: Evidence, name: str, *, note: str) -> Table:
    printed = evidence.reported[name]
    networks = [c for c in printed.columns if any(printed.cell(r, c).metric == "ap" for r in printed.rows)]
    words = [column for column in printed.columns if column not in networks]
    header = {column: printed.cell(HEADER, column).printed for column in printed.columns}
    rows: list[Row] = []
    for row in printed.rows:
        if row == HEADER:
            continue
        cells = [printed.cell(row, column) for column in networks]
        texts = ", ".join(text for column in words if (text := printed.cell(row, column).printed) not in ("", "-"))
        metric = cells[0].metric
        name_of_row = {"ap_gain": "printed gain", "gflops": f"GFLOPs ({texts})"}.get(metric, texts)
        if metric == "ap" and words == ["network"]:
            name_of_row = f"AP, {texts}"
        shown = {c.column: from_print(c) for c in cells}
        rows.append(Row(row, {"quantity": label(name_of_row)} | shown, rule_above=metric in ("ap", "gflops")))
        if metric == "gflops" or (metric == "ap" and "gflops" not in {c.metric for c in printed.cells.values()}):
            rows += _costs_below(evidence, row, cells)
    columns = [Column(id="quantity", label="", align="left")]
    columns += [Column(id=column, label=header[column]) for column in networks]
    return Table(
        id=name,
        title=title(name),
        caption=captions()[name],
        columns=tuple(columns),
        rows=tuple(rows),
        notes=(COST_NOTE, LIVE_NOTE, note),
    )


def _costs_below(evidence: Evidence, row: str, cells: list[Reported]) -> Iterator[Row]:
    """Measured parameters, cost and live share of the networks of a printed row; beside the print where it is a cost."""
    params: dict[str, Cell] = {"quantity": label("parameters (M)")}
    costs: dict[str, Cell] = {"quantity": label("GFLOPs, measured")}
    live: dict[str, Cell] = {"quantity": label("live (%)")}
    for cell in cells:
        params[cell.column] = from_record(evidence.found(cell.subject, "params"), in_millions)
        costs[cell.column] = cost(evidence, cell.subject, GIMACS, cell if cell.metric == "gflops" else None)
        live[cell.column] = live_share(evidence, cell.subject)
    yield Row(f"{row}_params", params)
    yield Row(f"{row}_measured", costs)
    yield Row(f"{row}_live", live)
