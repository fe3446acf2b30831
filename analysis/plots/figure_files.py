"""Figures as files, the same bytes for the same data, and as a piece of the page that follows light and dark."""

import base64
import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots.style import POINTS_PER_IN, figure_style


def write_figure(
    draw: Callable[[pd.DataFrame], Figure], data: pd.DataFrame, figure_id: str, folder: Path
) -> tuple[Path, ...]:
    """Writes ID.png, ID.pdf, ID.svg, ID.dark.svg and the drawn numbers as ID.csv; the same bytes for the same data.

    Args:
        draw: makes the figure from its data; called once for each theme.
        data: what is drawn.
        figure_id: the figure's one name: "figure-3".
        folder: made when it does not exist.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / f"{figure_id}.csv"
    data.to_csv(table, index=False, lineterminator="\n")
    written = [table]
    # No dates, and no program versions either: a file changes when the picture does.
    anonymous: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        ".svg": {"Date": None, "Creator": None},
    }
    for dark, suffixes in ((False, (".png", ".pdf", ".svg")), (True, (".dark.svg",))):
        with figure_style(dark):
            figure = draw(data)
            for suffix in suffixes:
                path = folder / f"{figure_id}{suffix}"
                figure.savefig(path, metadata=anonymous[path.suffix], transparent=path.suffix == ".svg")
                if path.suffix == ".svg":
                    path.write_text(_compact(path.read_text(encoding="utf-8")), encoding="utf-8")
                written.append(path)
    return tuple(written)


def _compact(svg: str) -> str:
    """The same picture in fewer bytes: no indentation, and places to a thousandth of a point."""
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
    return re.sub(
        r' (d|x|y)="[^"]*"', lambda place: re.sub(r"\d+\.\d{4,}", lambda n: f"{float(n[0]):.3f}", place[0]), svg
    )


def picture_html(figure_id: str, folder: Path, *, alt: str, caption: str) -> str:
    """A `<figure>` for the page with both svg files inside it, which follows the reader's colour scheme.

    Args:
        figure_id: the anchor, and the name of the files.
        folder: where `write_figure` wrote them.
        alt: what the picture shows, for those who cannot see it.
        caption: plain text below the picture.

    Raises:
        FileNotFoundError: the figure was not written.
    """
    light, dark = (folder / f"{figure_id}{suffix}" for suffix in (".svg", ".dark.svg"))
    for path in (light, dark):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing; write it first: write_figure(..., {figure_id!r}, folder)")
    return (
        f'<figure id="{html.escape(figure_id)}">\n<picture>\n'
        f'<source media="(prefers-color-scheme: dark)" srcset="{_data_uri(dark)}">\n'
        f'<img src="{_data_uri(light)}" {_css_size(light)} alt="{html.escape(alt)}">\n</picture>\n'
        f"<figcaption>{html.escape(caption, quote=False)}</figcaption>\n</figure>\n"
    )


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _css_size(svg: Path) -> str:
    """Width and height attributes, so that the page does not jump when the picture is decoded."""
    head = svg.read_text(encoding="utf-8")[:2000]
    size = {
        name: float(points) * 96 / POINTS_PER_IN for name, points in re.findall(r' (width|height)="([\d.]+)pt"', head)
    }
    return " ".join(f'{name}="{pixels:.0f}"' for name, pixels in sorted(size.items(), reverse=True))
