"""Tables II-V: the paper's ablations, AP as reported beside costs as measured, and AP as measured where it is."""

from collections.abc import Callable, Iterator

from analysis.evidence import Evidence
from analysis.tabular import accuracy_cells
from analysis.tabular.cells import Cell, Column, Row, Table, from_print, from_record, label
from analysis.tabular.cost_cells import COST_NOTE, GIMACS, LIVE_NOTE, cost, in_millions, live_share, title
from analysis.tabular.printed_words import word_of
from bench.records.reported import HEADER, Reported, captions


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
    networks = printed.columns_of("ap")
    prints_costs = any(cell.metric == "gflops" for cell in printed.cells.values())
    rows: list[Row] = []
    below: list[Row] = []
    for row in printed.rows:
        if row == HEADER:
            continue
        cells = [printed.cell(row, column) for column in networks]
        words = [word_of(printed.cell(row, column)) for column in printed.columns if column not in networks]
        metric = cells[0].metric
        name_of_row = "printed gain" if metric == "ap_gain" else ", ".join(filter(None, words))
        if metric == "ap" and "AP" not in name_of_row:
            name_of_row = f"AP, {name_of_row}"
        shown = {cell.column: from_print(cell) for cell in cells}
        rows.append(Row(row, {"quantity": label(name_of_row)} | shown, rule_above=metric == "gflops"))
        if metric == "ap" and accuracy_cells.any_found(evidence, cells):
            measured = {cell.column: accuracy_cells.accuracy(evidence, cell) for cell in cells}
            rows.append(Row(f"{row}_ap_measured", {"quantity": label(f"{name_of_row}, measured")} | measured))
        if metric == "gflops":
            rows += _costs(evidence, row, cells, "measured")
        elif metric == "ap" and not prints_costs:
            below += _costs(evidence, row, cells, words[-1])
    accurate = (accuracy_cells.NOTES["ap"],) if any(row.id.endswith("_ap_measured") for row in rows) else ()
    columns = [Column(id="quantity", label="", align="left")]
    columns += [Column(id=column, label=printed.cell(HEADER, column).printed) for column in networks]
    return Table(
        id=name,
        title=title(name),
        caption=captions()[name],
        columns=tuple(columns),
        rows=(*rows, *below),
        notes=(COST_NOTE, LIVE_NOTE, note, *accurate),
    )


def _costs(evidence: Evidence, row: str, cells: list[Reported], whose: str) -> Iterator[Row]:
    """Measured costs of the networks of a printed row, beside the print where the row prints costs."""
    printed = cells[0].metric == "gflops"
    kinds: dict[str, tuple[str, Callable[[Reported], Cell]]] = {
        "params": ("parameters (M)", lambda cell: from_record(evidence.found(cell.subject, "params"), in_millions)),
        "measured": ("GFLOPs", lambda cell: cost(evidence, cell.subject, GIMACS, cell if printed else None)),
        "live": ("live (%)", lambda cell: live_share(evidence, cell.subject)),
    }
    if printed:
        del kinds["params"]
    for position, (kind, (words, make)) in enumerate(kinds.items()):
        name_of_row = label(f"{words}, measured" if printed else f"{whose}: {words}")
        yield Row(
            f"{row}_{kind}",
            {"quantity": name_of_row} | {cell.column: make(cell) for cell in cells},
            rule_above=position == 0 and not printed,
        )
