"""Ctrl-C while a program is still importing what it needs. Imports no torch."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def quiet() -> Iterator[None]:
    """In here Ctrl-C ends the program with one line: nothing has begun, and a traceback would say nothing.

    Whoever started the program without Ctrl-C, as a shell does in the background, has it so.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
    os.write(2, b"error: stopped before anything began\n")
    os._exit(130)
