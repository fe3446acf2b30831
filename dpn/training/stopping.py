"""Ctrl-C and SIGTERM as a wish that is granted between two steps, in all processes at the same one."""

import os
import signal
import threading
from contextlib import AbstractContextManager, suppress
from types import FrameType

import torch
import torch.distributed as dist

from dpn.program.interrupts import handled, withheld

AGREE_EVERY = 10
"""Steps between two times that several processes ask each other whether one is to stop."""

SAID = b"stopping: the run saves after this step and ends; Ctrl-C again ends it at once, without saving\n"
"""To who has pressed Ctrl-C."""


def shielded() -> AbstractContextManager[None]:
    """Processes that are started in here hear neither SIGTERM nor SIGUSR1 and SIGUSR2; this one still does.

    Slurm, torchrun and whoever else ends a whole group sends SIGTERM to those that make samples, too, which would be
    gone before the run has saved. By the others Slurm says that time is up: the handler that puts the job into the
    queue again is for this process alone, and those that it forks inherit it.
    """
    return withheld(signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def obey_parent() -> None:
    """Ends this process when the one that started it sends SIGTERM; it was started `shielded` from all others."""
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    while True:
        sent = signal.sigwaitinfo({signal.SIGTERM})
        if sent.si_pid == os.getppid():
            os._exit(0)


class Stopped(Exception):  # noqa: N818 - no error: the run is whole and can be continued
    """The run was asked to stop, and has saved."""


class Stopping:
    """Whether the run is to stop.

    Attributes:
        wished: a signal has come to this process.
        speaks: it answers Ctrl-C, which all processes of a terminal hear.
    """

    def __init__(self, *, speaks: bool = True) -> None:
        self.wished, self.speaks = False, speaks

    def watching(self) -> AbstractContextManager[None]:
        """Signals are wishes in here; a second one is what it is elsewhere."""
        return handled(self._wish, signal.SIGINT, signal.SIGTERM)

    def listen(self) -> None:
        """Takes the signals again, should somebody else have taken them meanwhile.

        Lightning's handler of SIGTERM talks to the other processes, in the middle of whatever they are talking about.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._wish)

    def _wish(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signal module's signature
        self.wished = True
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if self.speaks and number == signal.SIGINT:
            with suppress(OSError):  # nobody listens any more
                os.write(2, b"\n" * os.isatty(2) + SAID)  # below the ^C, and a bar

    def asked(self) -> bool:
        """Whether a signal has come to this process alone, one that waits while it is `shielded` among them."""
        return self.wished or (hasattr(signal, "sigpending") and signal.SIGTERM in signal.sigpending())

    def now(self, step: int, device: torch.device) -> bool:
        """Whether to stop after this step; the same answer in every process."""
        if not dist.is_initialized() or dist.get_world_size() == 1:
            return self.wished
        if step % AGREE_EVERY:
            return False
        wish = torch.tensor([float(self.wished)], device=device)
        dist.all_reduce(wish, op=dist.ReduceOp.MAX)
        return bool(wish.item())
