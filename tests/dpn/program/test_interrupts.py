"""Signals are handled otherwise, or wait, for as long as something lasts and no longer."""

import signal
from contextlib import suppress
from types import FrameType

from dpn.program.interrupts import handled, withheld


def test_signals_do_afterwards_what_they_did_before() -> None:
    came = list[int]()

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(number)

    before = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)]
    with suppress(ZeroDivisionError), handled(note, signal.SIGUSR1, signal.SIGUSR2):
        signal.raise_signal(signal.SIGUSR2)
        assert came == [signal.SIGUSR2]
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)] == before


def test_a_signal_that_is_withheld_comes_afterwards() -> None:
    came = list[int]()
    with handled(lambda number, _: came.append(number), signal.SIGUSR1):
        with withheld(signal.SIGUSR1, signal.SIGUSR2):
            signal.raise_signal(signal.SIGUSR1)
            assert came == []
        assert came == [signal.SIGUSR1]
