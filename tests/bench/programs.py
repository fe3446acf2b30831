"""Programs as their users call them, without a process of their own, whose start takes seconds."""

import io
import subprocess
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]


def ran(main: Callable[[Sequence[str]], NoReturn], words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """What a program printed and how it ended, run in the checkout.

    Args:
        main: of `bench.__main__` or `analysis.__main__`.
        words: of the command line.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    with chdir(ROOT), redirect_stdout(out), redirect_stderr(err):
        try:
            main(words)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
