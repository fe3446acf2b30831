"""`python -m analysis`: report, show, explain, figure, gallery, and what looks into networks: fields and gridding."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import tyro

from analysis.effective_fields.erf_records import PROTOCOL, Protocol
from analysis.evidence import Evidence
from analysis.verbs.erf_verbs import erf
from analysis.verbs.field_verbs import gridding, receptive_field
from analysis.verbs.measured_verbs import neighbours
from bench.store import RECORDS, RESULTS
from dpn import cli

IN_GALLERY = ("figure-3", "figure-layers")
Name = tyro.conf.Positional[str]
Records = Annotated[Path, tyro.conf.arg(help="the folder of the records")]


def report(out: Path = RESULTS / "report", records: Records = RECORDS) -> None:
    """Makes the report from the records: runs the notebooks and writes one page, with all tables and figures as files.

    Args:
        out: the folder that becomes the report.
        records: the folder of the records.
    """
    from analysis.report import prepare_environment, write_report

    _evidence(records)
    prepare_environment()
    page = write_report(out, records=records, done=lambda name: print(f"  {name}", flush=True))
    print(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)")


def show(name: Name, records: Records = RECORDS) -> None:
    """Prints a table.

    Args:
        name: its id, such as table-6, table-7-one-unit, table-readings or table-claims.
        records: the folder of the records.
    """
    from analysis import tables
    from analysis.terminal import to_text

    evidence = _evidence(records)
    print(to_text(tables.table(name, evidence)), end="")


def explain(table: Name, row: Name, column: Name, records: Records = RECORDS) -> None:
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
    ids = [c.id for c in found.columns if c.id == column or c.id.startswith(f"{column}_")]
    for name in ids or [column]:
        print("\n".join(explain_cell(found, row, name, records)))


def figure(names: tyro.conf.Positional[tuple[str, ...]], out: Path = Path(), records: Records = RECORDS) -> None:
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
    names: tyro.conf.Positional[tuple[str, ...]] = (), suite: str | None = None, check: cli.Flag = False,
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
    from bench.subject import resolve
    from bench.suite import networks

    if not names and suite is None:
        raise ValueError("name networks, or give --suite paper")
    subjects = [resolve(name) for name in (*names, *(networks(suite) if suite else ()))]
    return measure_fields(subjects, records, write=not check)


def effective(
    names: tyro.conf.Positional[tuple[str, ...]] = (),
    protocol: Annotated[Protocol, tyro.conf.OmitArgPrefixes] = PROTOCOL,
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
    from bench.subject import resolve

    if weights is not None and len(names) != 1:
        raise ValueError("--weights takes exactly one network; name it")
    subjects = [resolve(name) for name in names or SHOWN]
    added = measure_effective(subjects, open_store(records, write=True), protocol, trained=weights, again=again)
    print(f"{len(subjects)} fields: {added} records added, {len(subjects) - added} there already")


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
