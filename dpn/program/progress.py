"""A bar for what takes long, on a terminal; nothing where there is no terminal, or no rich. Imports no torch."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Told(Protocol):
    """Is told how much is done, of how much, and what to say beside the title."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """Draws it."""


class Bar:
    """Is told how far something is, as a `Told` or step by step.

    Attributes:
        seen: whether it is drawn, so that nobody need be told otherwise.
    """

    def __init__(self, title: str, total: float, drawn: Any = None, after_s: float = 0.0) -> None:
        """A bar at nothing.

        Args:
            title: stands at its left.
            total: what `advance` adds up to in the end.
            drawn: a `rich.progress.Progress` that is not started yet; None draws nothing.
            after_s: seconds before it appears.
        """
        self.seen = drawn is not None
        self._title, self._done, self._total, self._text, self._drawn = title, 0.0, total, "", drawn
        self._from_s = time.monotonic() + after_s
        self._task = drawn.add_task(title, total=None) if drawn else None

    def __call__(self, done: float, total: float, text: str = "", /) -> None:
        """Draws so much done of so much."""
        self._done, self._total, self._text = done, total, text
        if not self._drawn:
            return
        said = f"{self._title} {text}".strip()
        self._drawn.update(self._task, completed=done, total=total, description=said)
        if not self._drawn.live.is_started and time.monotonic() >= self._from_s:
            self._drawn.start()

    def advance(self, by: float, text: str | None = None) -> None:
        """Draws so much more done; without a text the last one stays."""
        self(self._done + by, self._total, self._text if text is None else text)


@contextmanager
def progress(title: str = "", total: float = 0, *, shown: bool = True, after_s: float = 0.0) -> Iterator[Bar]:
    """Yields what to tell; the bar goes at the end, and leaves its place to what is printed then.

    Args:
        title: stands at its left.
        total: for `Bar.advance`; who calls the bar says it then.
        shown: whether to draw at all.
        after_s: seconds before it appears, for what may be done sooner.
    """
    drawn = _rich() if shown and sys.stderr is not None and sys.stderr.isatty() else None
    try:
        yield Bar(title, total, drawn, after_s)
    finally:
        if drawn and drawn.live.is_started:
            drawn.stop()


def _rich() -> Any:
    try:
        from rich import progress as rich
        from rich.console import Console
    except ImportError:
        return None
    columns = (rich.TextColumn("{task.description}", markup=False), rich.BarColumn(), rich.MofNCompleteColumn(),
               rich.TimeElapsedColumn(), rich.TimeRemainingColumn())  # fmt: skip
    return rich.Progress(*columns, console=Console(stderr=True), transient=True)
