"""`python -m analysis`: report, show, explain, figure, gallery, and what looks into networks: fields and gridding."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, NoReturn

from dpn.program.interrupts import quiet
from dpn.program.missing import told

with quiet(), told():
    import tyro

    from analysis.effective_fields.erf_records import PROTOCOL, Protocol
    from analysis.evidence import Evidence
    from analysis.verbs.erf_verbs import erf
    from analysis.verbs.field_verbs import gridding, receptive_field
    from analysis.verbs.measured_verbs import neighbours
    from analysis.verbs.named_networks import measure_named
    from bench.store import RECORDS, RESULTS
    from bench.subject import Subject, resolve
    from bench.verbs.arguments import Networks
    from dpn.program import cli
    from dpn.program.whole_files import write_whole

IN_GALLERY = ("figure-3", "figure-layers")
TableId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TABLE")]
TableOrNot = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[TABLE]")]
RowId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ROW")]
ColumnId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="COLUMN")]
FigureIds = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[FIGURE ...]")]
Format = Annotated[Literal["text", "tex", "csv", "html"], tyro.conf.arg(name="format")]
Records = Annotated[Path, tyro.conf.arg(help="the folder of the records")]


def report(out: Path = RESULTS / "report", records: Records = RECORDS) -> None:
    """Makes the report from the records: runs the notebooks and writes one page, with all tables and figures as files.

    Args:
        out: the folder that becomes the report.
        records: the folder of the records.
    """
    from analysis.outlets.report import prepare_environment, write_report

    _evidence(records)
    prepare_environment()
    page = write_report(out, records=records, done=lambda name: print(f"  {name}", flush=True))
    print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)")


def show(
    table: TableOrNot = "", form: Format = "text", out: Path | None = None, records: Records = RECORDS
) -> None:  # fmt: skip
    """Prints a table, as text, LaTeX, csv or a page of its own; without a name, the id and title of every table.

    Args:
        table: its id, such as table-6 or table-7-one-unit; by default all ids are listed.
        form: text for a terminal, or what the report has as a file: tex (for booktabs), csv (exact values) or html.
        out: a file to write to in place of the terminal.
        records: the folder of the records.
    """
    from analysis import tables
    from analysis.outlets.render import FILES, to_text

    evidence = _evidence(records)
    if not table:
        if out is not None or form != "text":
            raise ValueError("--format and --out are for one table; name it")
        titles = tables.titles(evidence)
        width = max(map(len, titles))
        print("\n".join(f"{name:<{width}}  {title}" for name, title in titles.items()))
        return
    found = tables.table(table, evidence)
    text = to_text(found, for_file=out is not None) if form == "text" else FILES[form](found)
    if out is None:
        print(text, end="")
    else:
        write_whole(out, text.encode())
        print(out)


def explain(table: TableId, row: RowId, column: ColumnId, records: Records = RECORDS) -> None:
    """Says where the numbers in a cell come from: the printed string, the record, and how one follows from the other.

    Args:
        table: the table's id, such as table-6.
        row: the row's id; the network's name, for tables of networks.
        column: the column's id, or the part before its underscore: params stands for params_reported, params_measured.
        records: the folder of the records.
    """
    from analysis import tables
    from analysis.provenance import explain_cell

    found = tables.table(table, _evidence(records))
    row = tables.as_written(row, [r.id for r in found.rows])
    ids = [c.id for c in found.columns if f"{c.id}_".casefold().startswith(f"{column}_".casefold())]
    for name in ids or [column]:
        print("\n".join(explain_cell(found, row, name, records)))


def figure(names: FigureIds, out: Path = Path(), records: Records = RECORDS) -> None:
    """Writes figures as png, pdf and svg, for light and dark pages, and what is drawn as csv; the same bytes each time.

    Args:
        names: their ids, such as figure-1 or figure-tapestry; "all" is every figure.
        out: the folder to write to, by default this one.
        records: the folder of the records.
    """
    from analysis.figures import FIGURES
    from analysis.plots.figure_files import write_figure

    if not names:
        raise ValueError(f"name figures, or all; there are {', '.join(FIGURES)}")
    if unknown := sorted(set(names) - set(FIGURES) - {"all"}):
        raise ValueError(f"no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}, or all")
    _folder(out)
    evidence = _evidence(records)
    for name in FIGURES if "all" in names else dict.fromkeys(names):
        for path in write_figure(FIGURES[name].draw, FIGURES[name].data(evidence), name, out):
            print(path)


def gallery(out: Path = RESULTS / "gallery") -> None:
    """Writes the pictures that the README shows, in light and dark.

    Args:
        out: where to.
    """
    from analysis.figures import FIGURES
    from analysis.plots.figure_files import write_figure

    _folder(out)
    evidence = _evidence(RECORDS)
    with TemporaryDirectory() as folder:
        for name in IN_GALLERY:
            write_figure(FIGURES[name].draw, FIGURES[name].data(evidence), name, Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        for picture in sorted(Path(folder).glob("*.svg")):
            print(shutil.copy(picture, out))


def trace(
    names: Networks = (), suite: str | None = None, check: cli.Flag = False,
    records: Records = RECORDS,
) -> int:  # fmt: skip
    """Traces networks and keeps their exact receptive fields as records: adds what is missing, checks what is there.

    Args:
        names: names of the zoo or package.module:factory; or give a suite.
        suite: "paper" is every network of the paper's tables, "quick" a few of them.
        check: add nothing, and fail when something is missing.
        records: the folder of the records.
    """
    from analysis.receptive_fields.field_records import measure_fields
    from bench.suite import networks

    if not names and suite is None:
        raise ValueError("name networks, or give --suite paper")
    subjects = [resolve(name) for name in (*names, *(networks(suite) if suite else ()))]
    return measure_fields(subjects, records, write=not check)


def effective(
    names: Networks = (),
    protocol: Annotated[Protocol, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="estimate")] = PROTOCOL,
    weights: Path | None = None, again: cli.Flag = False, records: Records = RECORDS,
) -> None:  # fmt: skip
    """Estimates the effective fields that the page shows, and keeps them as records; what is there is not made again.

    Args:
        names: networks of the zoo; by default one of each schedule.
        protocol: how they are estimated.
        weights: a file of trained weights, or released, for the network that is named; the page then shows both;
            without, weights are random, even where dpn would take the released ones.
        again: estimate what the records have, too.
        records: the folder of the records.
    """
    from analysis.effective_fields.erf_records import SHOWN, measure_effective
    from bench.measuring import open_store

    def measure(subjects: list[Subject]) -> int:
        return measure_effective(subjects, open_store(records, write=True), protocol, trained=weights, again=again)

    measure_named(names, SHOWN, weights, measure, "fields")


def _folder(out: Path) -> None:
    """Refuses a path that is, or lies below, something else than a folder."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is no folder; give --out a folder, which is made when it is missing")


def _evidence(records: Path) -> Evidence:
    if not records.is_dir():
        raise ValueError(f"no folder {records}; give a folder of records such as results/records")
    evidence = Evidence(records_root=records)
    for warning in evidence.store.warnings():
        print(f"warning: {warning}", file=sys.stderr)
    cli.note(evidence.store.why_empty())
    return evidence


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Does what the words say, by default those of the command line, and exits; see `cli.run`."""
    cli.run(
        "python -m analysis",
        "Turns records into tables, figures and one page, and looks into networks.",
        {
            "report": report, "show": show, "explain": explain, "figure": figure, "gallery": gallery,
            "receptive-field": receptive_field, "gridding": gridding, "erf": erf, "trace": trace,
            "effective": effective, "neighbours": neighbours,
        },
        arguments,
    )  # fmt: skip


if __name__ == "__main__":
    main()
