"""What the command lines of this project share: verbs from typed functions, one line for every expected error."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import tyro

EXPECTED = (KeyError, ValueError, OSError, RuntimeError)
"""Errors that carry their remedy in their message; anything else is a bug and shows its traceback."""


def run(program: str, description: str, verbs: Mapping[str, Callable[..., Any]]) -> NoReturn:
    """Parses the command line, runs a verb and exits: 0, the verb's own code, 1 for an error, 130 for Ctrl-C."""
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            dict(verbs), prog=program, description=description, use_underscores=False
        )
    except KeyboardInterrupt:
        fail("stopped; what was finished is kept, start again to continue", 130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except EXPECTED as error:
        if os.environ.get("DPN_TRACEBACK"):
            raise
        fail(message(error))
    sys.exit(code if isinstance(code, int) else 0)


def message(error: BaseException) -> str:
    """The error in one line, without the quotation marks that a KeyError puts around its own."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(text.split()) or type(error).__name__


def fail(text: str, code: int = 1) -> NoReturn:
    """Ends the program with one line on standard error."""
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)
