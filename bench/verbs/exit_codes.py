"""Keeps exit code 1 for a verdict: whatever else ends `compare` or `duel` is an error, and its code 2."""

import functools
import os
import traceback
from collections.abc import Callable
from typing import ParamSpec

from dpn.program import cli, missing

Given = ParamSpec("Given")


def errors_are_2(verb: Callable[Given, int]) -> Callable[Given, int]:
    """The verb, which leaves with 2 and one line for an expected error or a missing package, and a bug's traceback."""

    @functools.wraps(verb)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> int:
        try:
            code = verb(*args, **kwargs)
            cli.flush()  # what cannot be printed is an error too, and comes to light only now
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            raise
        except cli.EXPECTED as error:
            if os.environ.get("DPN_TRACEBACK"):
                traceback.print_exc()
            cli.fail(cli.message(error), 2)
        except Exception as error:
            said = missing.words(error) if isinstance(error, ModuleNotFoundError) else ""
            if not said or os.environ.get("DPN_TRACEBACK"):
                traceback.print_exc()
            cli.fail(said or "this is a bug; please report it with the lines above", 2)
        return code

    return run
