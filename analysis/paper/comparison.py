"""Tables VI and VII: the compared networks as printed, beside what was measured of them."""

from collections.abc import Iterator
from dataclasses import replace

from analysis.evidence import Evidence
from analysis.tabular import accuracy_cells, cost_cells, printed_costs
from analysis.tabular.cells import Column, Row, Table, from_print, label
from analysis.tabular.cost_cells import GIMACS, cost, title
from bench.counts.conventions import CONVENTIONS
from bench.records.reported import ReportedTable, captions

INPUT_HW = {"table-6": (256, 192), "table-7": (256, 256)}
"""The input sizes that the tables' captions give."""

OURS = ("dpn4_32", "dpn4_32_mpii")
"""The first row of the paper's own networks."""


def table_6(evidence: Evidence) -> Table:
    """COCO: reported parameters and costs beside measured ones, each in the convention of its print."""
    return _comparison(evidence, "table-6", "ap", "AP")


def table_7(evidence: Evidence) -> Table:
    """MPII: reported parameters and costs beside measured ones, each in the convention of its print."""
    return _comparison(evidence, "table-7", "pckh", "PCKh@0.5")


def _comparison(evidence: Evidence, name: str, accuracy: str, accuracy_label: str) -> Table:
    printed = evidence.reported[name]
    evaluated = accuracy_cells.any_found(evidence, (printed.cell(row, accuracy) for row in printed.rows[1:]))
    rows = tuple(_compared_row(evidence, printed, row, accuracy) for row in printed.rows[1:])
    columns = [Column(id="method", label="Method", align="left")]
    if "backbone" in printed.columns:
        columns.append(Column(id="backbone", label="Backbone", align="left", hide_on_phone=True))
    columns += [
        Column(id="params_reported", label="reported", group="#Params"),
        Column(id="params_measured", label="measured (M)", group="#Params"),
        Column(id="gflops_reported", label="reported", group="GFLOPs"),
        Column(id="gflops_measured", label="measured", group="GFLOPs"),
        Column(id="convention", label="convention of the print", group="GFLOPs", align="left", hide_on_phone=True),
        Column(id=accuracy, label="reported", group=accuracy_label),
        *((accuracy_cells.column(accuracy, accuracy_label),) if evaluated else ()),
        Column(id="basis", label="built from", align="left", hide_on_phone=True),
    ]
    return Table(
        id=name,
        title=f"{title(name)}, as printed",
        caption=captions()[name],
        columns=tuple(columns),
        rows=rows,
        notes=(*_notes(name, rows), *((accuracy_cells.NOTES[accuracy],) if evaluated else ())),
    )


def _compared_row(evidence: Evidence, printed: ReportedTable, row: str, accuracy: str) -> Row:
    params, gflops = printed.cell(row, "params"), printed.cell(row, "gflops")
    known = printed_costs.PUBLISHED_AS.get((printed.name, row))
    measured = cost(evidence, params.subject, known.resolve() if known else GIMACS, gflops)
    if measured.record is not None and measured.record.protocol["input_hw"] != list(INPUT_HW[printed.name]):
        size = "x".join(map(str, evidence.zoo[params.subject].input_hw))
        measured = replace(measured, note=f"at {size}", flags=(f"at {size}",))
    cells = {
        "method": label(printed.cell(row, "method").printed),
        "params_reported": from_print(params),
        "params_measured": cost_cells.params(evidence, params.subject, params),
        "gflops_reported": from_print(gflops),
        "gflops_measured": measured,
        "convention": label(known.convention if known else "–"),
        "basis": label(evidence.zoo[params.subject].basis if params.subject in evidence.zoo else "–"),
        accuracy: from_print(printed.cell(row, accuracy)),
        f"{accuracy}_measured": accuracy_cells.accuracy(evidence, printed.cell(row, accuracy)),
    }
    if "backbone" in printed.columns:
        cells["backbone"] = label(printed.cell(row, "backbone").printed)
    return Row(row, cells, rule_above=row in OURS)


def _notes(name: str, rows: tuple[Row, ...]) -> Iterator[str]:
    """The conventions that the table uses, and why a measured cost is not the printed one where it is not."""
    yield "“GFLOPs” is the paper's word; its column mixes conventions, and a measured cost is in its own row's."
    for convention in dict.fromkeys(row.cells["convention"].text for row in rows):
        if convention in CONVENTIONS:
            yield f"{convention}: {CONVENTIONS[convention].source}."
    for row in rows:
        if row.cells["gflops_measured"].state == "differs":
            yield f"{row.cells['method'].text}: {printed_costs.PUBLISHED_AS[name, row.id].evidence}"
    if any(_whole(row) and row.cells["params_measured"].state == "differs" for row in rows):
        yield "Costs that are whole numbers at their source come with whole millions of parameters, too."
    if any(row.cells["gflops_measured"].note.startswith("at ") for row in rows):
        yield "Networks of whole images are counted at the size that their authors give, which is beside their cost."
    yield cost_cells.BASIS_NOTE
    if any(row.cells[column].state == "missing" for row in rows for column in ("params_measured", "gflops_measured")):
        yield "–: not built here, or not counted yet; run: python -m bench measure --suite paper."


def _whole(row: Row) -> bool:
    convention = CONVENTIONS.get(row.cells["convention"].text)
    return convention is not None and convention.whole
