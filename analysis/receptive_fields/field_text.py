"""Rows of exact numbers as aligned text: integers stay integers, and only what is rounded has digits behind a point."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.outlets.terminal import width

DIGITS = 4


def say(text: str) -> None:
    """One line, wrapped only by a terminal."""
    _console().print(Text(text))


def show_rows(rows: Iterable[Mapping[str, Any]], title: str = "") -> None:
    """A table with a column for each key of the first row; only its title where there are no rows."""
    listed = list(rows)
    if title:
        say(f"\n{title}")
    if not listed:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for key in listed[0]:
        worded = any(isinstance(row[key], str) for row in listed)
        table.add_column(Text(key.replace("_", " ")), justify="left" if worded else "right")
    for row in listed:
        table.add_row(*(Text(shown(value)) for value in row.values()))
    _console().print(table)


def shown(value: Any) -> str:
    """A number as short as is honest.

    Example:
        >>> shown(12345), shown(1.0), shown(0.66666), shown(0.0), shown(2e-8), shown((64, 48)), shown(None)
        ('12,345', '1', '0.6667', '0', '2e-08', '64x48', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer():
            return f"{int(value):,}"
        return f"{value:.{DIGITS}f}" if abs(value) >= 10**-DIGITS else f"{value:.0e}"
    if isinstance(value, list | tuple):
        return "x".join(map(str, value)) if all(isinstance(part, int) for part in value) else " ".join(map(str, value))
    return str(value) if isinstance(value, str | Fraction) else repr(value)


def _console() -> Console:
    return Console(width=width(), highlight=False)
