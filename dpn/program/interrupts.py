"""Ctrl-C and other signals, for as long as something lasts. Imports no torch."""

import os
import signal
from collections.abc import Callable, Iterator
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
    with handled(_leave, signal.SIGINT):
        yield


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's signature
    os.write(2, b"error: stopped before anything began\n")
    os._exit(130)


@contextmanager
def handled(handler: Callable[[int, FrameType | None], None], *numbers: signal.Signals) -> Iterator[None]:
    """In here these signals call the handler; afterwards they do what they did before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, known in before.items():
            signal.signal(number, known)


@contextmanager
def withheld(*numbers: signal.Signals) -> Iterator[None]:
    """In here these signals wait; processes that are started in here never hear of them, unless they ask to."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
