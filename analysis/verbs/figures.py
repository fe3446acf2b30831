"""The verbs `figure` and `gallery` of `python -m analysis`."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import tyro

from analysis.outlets.opened import evidence_of
from bench.records.store import RECORDS, RESULTS

IN_GALLERY = ("figure-3", "figure-layers")
FigureIds = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="[FIGURE ...]")]


def figure(names: FigureIds, out: Path = Path(), records: Path = RECORDS) -> None:
    """Writes figures as png, pdf and svg, for light and dark pages, and what is drawn as csv; the same bytes each time.

    Args:
        names: their ids, such as figure-1 or figure-tapestry; "all" is every figure.
        out: the folder to write to, by default this one.
        records: the folder of the records.
    """
    from analysis.catalogue.figures import FIGURES
    from analysis.plots.figure_files import write_figure

    if not names:
        raise ValueError(f"name figures, or all; there are {', '.join(FIGURES)}")
    if unknown := sorted(set(names) - set(FIGURES) - {"all"}):
        raise ValueError(f"no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}, or all")
    _folder(out)
    evidence = evidence_of(records)
    for name in FIGURES if "all" in names else dict.fromkeys(names):
        for path in write_figure(FIGURES[name].draw, FIGURES[name].data(evidence), name, out):
            print(path)


def gallery(out: Path = RESULTS / "gallery") -> None:
    """Writes the pictures that the README shows, in light and dark.

    Args:
        out: where to.
    """
    from analysis.catalogue.figures import FIGURES
    from analysis.plots.figure_files import write_figure

    _folder(out)
    evidence = evidence_of(RECORDS)
    with TemporaryDirectory() as folder:
        for name in IN_GALLERY:
            write_figure(FIGURES[name].draw, FIGURES[name].data(evidence), name, Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        for picture in sorted(Path(folder).glob("*.svg")):
            print(shutil.copy(picture, out))


def _folder(out: Path) -> None:
    """Refuses a path that is, or lies below, something else than a folder."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is no folder; give --out a folder, which is made when it is missing")
