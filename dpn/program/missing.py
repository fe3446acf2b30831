"""A package that is not installed ends a program in one line. Imports nothing that could be missing."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec

OURS = ("analysis", "bench", "dpn")


def install(extras: str) -> str:
    """How to install what some of the project's extras need.

    Example:
        >>> install("backends")
        "in the checkout run: pip install -e '.[backends]'"
    """
    return f"in the checkout run: pip install -e '.[{extras}]'"


REMEDY = f"{install('workbench,training')} (without network see CONTRIBUTING.md)"


def words(error: ModuleNotFoundError) -> str:
    """That a package is not installed, in one line; empty where it is, or is ours: then the error is a bug."""
    package = (error.name or "").partition(".")[0]
    with suppress(ImportError, ValueError):
        if package not in ("", *OURS) and find_spec(package) is None:
            return f"the package {package} is not installed; {REMEDY}"
    return ""


@contextmanager
def told() -> Iterator[None]:
    """In here a package of others that is missing ends the program with one line; DPN_TRACEBACK shows where.

    For the imports of a `__main__`, and for what its verbs import only when they run.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        said = words(error)
        if not said or os.environ.get("DPN_TRACEBACK"):
            raise
        print(f"error: {said}", file=sys.stderr)
        sys.exit(1)
