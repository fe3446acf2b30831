"""Standard output kept clean of what libraries print there. Imports no torch."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
