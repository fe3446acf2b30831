"""A package that is not installed ends a program in one line. Imports nothing that could be missing."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

OURS = ("analysis", "bench", "dpn")

REMEDY = "in the checkout run: pip install -e '.[workbench,training]' (without network see CONTRIBUTING.md)"


@contextmanager
def told() -> Iterator[None]:
    """In here a package of others that is missing ends the program with one line; DPN_TRACEBACK shows where.

    For the imports of a `__main__`, and for what its verbs import only when they run.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", *OURS) or os.environ.get("DPN_TRACEBACK"):
            raise
        print(f"error: the package {package} is not installed; {REMEDY}", file=sys.stderr)
        sys.exit(1)
