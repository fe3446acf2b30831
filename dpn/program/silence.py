"""Standard output and standard error kept clean of what libraries print there. Imports no torch."""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def silent() -> Iterator[None]:
    """Nothing reaches standard output, not even from C++.

    An export that fails prints its whole graph there, megabytes of it: a worker's pipe, which nobody reads, would fill
    and the worker would wait for ever.
    """
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def overheard(work: Callable[[], Result], line: re.Pattern[bytes]) -> tuple[Result, str]:
    """What the work gives, and the first such line that it, or C++ in it, says on standard error; empty for none.

    Such lines are not shown there, all others are, when the work is done. Without room for temporary files nothing is
    heard, and all of them are shown.
    """
    if sys.stderr is None:  # closed by `2>&-`: its number may be another file's
        return work(), ""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError:
        return work(), ""
    with file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            result = work()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said = file.read()
            os.write(2, line.sub(b"", said))
    found = line.search(said)
    return result, found[0].decode(errors="replace").strip() if found else ""
