"""A bar for what takes long, on a terminal; nothing where there is no terminal, or no rich. Imports no torch."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Told(Protocol):
    """Is told how much is done, of how much, and what to say beside the title."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """Draws it."""


def _silent(done: int, total: int, text: str = "", /) -> None: ...


@contextmanager
def progress(title: str, *, shown: bool = True, after_s: float = 0.0) -> Iterator[Told]:
    """Yields what to tell; the bar goes at the end, and leaves its place to what is printed then.

    Args:
        title: stands at its left.
        shown: whether to draw at all.
        after_s: seconds before it appears, for what may be done sooner.
    """
    if not (shown and sys.stderr is not None and sys.stderr.isatty()):
        yield _silent
        return
    try:
        from rich import progress as rich
        from rich.console import Console
    except ImportError:
        yield _silent
        return
    columns = (rich.TextColumn("{task.description}", markup=False), rich.BarColumn(), rich.MofNCompleteColumn(),
               rich.TimeElapsedColumn(), rich.TimeRemainingColumn())  # fmt: skip
    bar = rich.Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(title, total=None)
    began = time.monotonic()

    def told(done: int, total: int, text: str = "", /) -> None:
        bar.update(task, completed=done, total=total, description=f"{title} {text}".rstrip())
        if not bar.live.is_started and time.monotonic() - began >= after_s:
            bar.start()

    try:
        yield told
    finally:
        if bar.live.is_started:
            bar.stop()
