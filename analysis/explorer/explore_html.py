"""What the explorer's widgets hold as HTML: a picture for light and dark pages, a table, one line of complaint."""

import base64
from collections.abc import Sequence
from html import escape

from analysis.explorer.explore_fields import Numbers, share_text
from analysis.explorer.explore_picture import Picture

THEMES = """<style>
.dpn-explore img { display: block; max-width: none; image-rendering: pixelated; }
.dpn-explore .dark { display: none; }
body[data-jp-theme-light="false"] .dpn-explore .dark { display: block; }
body[data-jp-theme-light="false"] .dpn-explore .light { display: none; }
</style>"""
"""JupyterLab says on its body which theme it has; elsewhere the light picture is shown, on its own ground."""

HEADINGS = ("map", "", "size", "positions", "coverage", "overlap", "effective positions")


def picture_html(picture: Picture) -> str:
    """The picture that fits the page's theme, in a box that scrolls sideways where there is no room."""
    height, width = picture.size_hw
    images = "".join(
        f'<img class="{theme}" width="{width}" height="{height}" alt="{escape(picture.alt)}" '
        f'src="data:image/png;base64,{base64.b64encode(file).decode()}">'
        for theme, file in (("light", picture.light), ("dark", picture.dark))
    )
    return f'{THEMES}<div class="dpn-explore" style="overflow-x: auto">{images}</div>'


def table_html(rows: Sequence[Numbers]) -> str:
    """One row for each map."""
    head = "".join(f'<th scope="col" style="padding-right: 1.5em; text-align: left">{name}</th>' for name in HEADINGS)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row)) + "</tr>" for row in rows)
    return f'<table style="line-height: 1.5; font-variant-numeric: tabular-nums"><tr>{head}</tr>{body}</table>'


def _cells(row: Numbers) -> tuple[str, ...]:
    positions, effective = (
        "–" if value is None else f"{value:,.{digits}f}" for value, digits in ((row.positions, 0), (row.effective, 1))
    )
    return row.map, row.detail, row.size, positions, share_text(row.coverage), share_text(row.overlap), effective


def line_html(text: str) -> str:
    """One line that screen readers announce; nothing for an empty text."""
    return f'<p role="alert" style="color: var(--jp-error-color1, #b3261e)">{escape(text)}</p>' if text else ""


def one_line(error: Exception) -> str:
    r"""An error as one line: our own say what to do, others need the name of what they are.

    Example:
        >>> one_line(KeyError("no map named 'x'")), one_line(RuntimeError("shapes differ\nat ..."))
        ("no map named 'x'", 'RuntimeError: shapes differ')
    """
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip()
    line = next(iter(text.splitlines()), "")
    return line if line and isinstance(error, ValueError | KeyError) else f"{type(error).__name__}: {line}"
