"""Keeps exit code 1 for a verdict: whatever else ends `compare` or `duel` is an error, and its code 2."""

import functools
import os
import traceback
from collections.abc import Callable
from typing import ParamSpec

from dpn import cli

Given = ParamSpec("Given")


def errors_are_2(verb: Callable[Given, int]) -> Callable[Given, int]:
    """The verb, which leaves with 2 and one line for an expected error, or with 2 and the traceback for a bug."""

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
        except Exception:
            traceback.print_exc()
            cli.fail("this is a bug; please report it with the lines above", 2)
        return code

    return run
