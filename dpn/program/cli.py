"""What the command lines of this project share: verbs from typed functions, one line for every expected error."""

import errno
import io
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import tyro

from dpn.program import bad_options, missing

LEAST_COLUMNS = 20
"""Help is made for a terminal of so many columns at least: in a handful of them no word fits, and it would not end."""

EXPECTED = (KeyError, ValueError, OSError, RuntimeError, MemoryError)
"""Errors that a message and a remedy are known for; anything else is a bug and shows its traceback."""

OF_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EPIPE)
"""What a system says of writing, without a file's name where it is to what the program prints to."""

OF_DEVICES = (errno.EIO, errno.ESTALE, errno.ENODEV)
"""What it says of a file whatever its path, such as one of a network that is away for a moment."""

Verb = Callable[..., Any]

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option that is there or not, without a --no- to it."""

Json = Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff]
"""The option --json of a parameter that has another name, since `json` is a module."""

Network = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NETWORK")]
"""The parameter `network`, so that an error calls it NETWORK too."""

Input = Annotated[str | None, tyro.conf.arg(name="input", metavar="HxW")]
"""The option --input of a parameter that has another name, since `input` is a function."""

OUT = tyro.conf.arg(aliases=("--out",))
"""Of an option --output: may be written as --out, its name in `bench` and `analysis`."""


@dataclass(frozen=True)
class Group:
    """Verbs behind a common first word, such as `data check` and `data show`.

    Attributes:
        description: one sentence for the help.
        verbs: by their second word.
    """

    description: str
    verbs: Mapping[str, Verb]

    def listed(self) -> Verb:
        """What stands for the group in the help of the whole program."""

        def verb() -> None: ...

        verb.__doc__ = f"{self.description} Verbs: {', '.join(self.verbs)}."
        return verb


@dataclass(frozen=True)
class ByName:
    """A verb whose options depend on the name that follows it, such as `train RECIPE`.

    Attributes:
        what: the name stands for, in capitals for the help: "RECIPE".
        description: one sentence for the help of the whole program.
        verb: the verb for a name.
    """

    what: str
    description: str
    verb: Callable[[str], Verb]

    def listed(self) -> Verb:
        """What stands for the verb in the help of the whole program, and where the name is missing."""

        def verb() -> NoReturn:
            raise ValueError(f"name a {self.what}, then --help shows its options")

        verb.__doc__ = f"{self.description} A {self.what} must follow."
        return verb


@missing.told()
def run(
    program: str, description: str, verbs: Mapping[str, Verb | Group | ByName], arguments: Sequence[str] | None = None
) -> NoReturn:  # fmt: skip
    """Parses the command line, runs a verb and exits.

    The code is 0 or the verb's own, 1 for an error, 2 for words that are no command, 130 for Ctrl-C, and 141 where the
    reader of the output left before its end, as of a program that SIGPIPE ends: whatever the verdict was, it is no 0.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    group = verbs.get(words[0]) if words else None
    if isinstance(group, Group):
        run(f"{program} {words[0]}", group.description, group.verbs, words[1:])
    callables = {name: verb if callable(verb) else verb.listed() for name, verb in verbs.items()}
    _fit_terminal()
    try:
        try:
            if isinstance(group, ByName) and len(words) > 1 and not words[1].startswith("-"):
                program, words = f"{program} {words[0]}", words[1:]
                chosen, name = group.verb(words[0]), f"{program} {words[0]}"
                with bad_options.refused(program, words, {words[0]: chosen}):
                    code = tyro.cli(chosen, prog=name, args=words[1:], use_underscores=False)
            elif isinstance(group, ByName) and len(words) > 1 and not {*words} & {*bad_options.HELP}:
                where = f"{program} {words[0]} --help"
                raise bad_options.CommandError(f"{words[1]}: a {group.what} must stand before it; see {where}")
            else:
                with bad_options.refused(program, words, callables):
                    code = tyro.extras.subcommand_cli_from_dict(
                        callables, prog=program, description=description, args=words, use_underscores=False
                    )
        except SystemExit as leaving:  # help has been printed, or the verb has failed
            if isinstance(leaving.__context__, BrokenPipeError):  # rich leaves with 1 when its reader has seen enough
                raise BrokenPipeError from leaving
            flush()
            raise
        flush()
    except bad_options.CommandError as error:
        fail(message(error), 2)
    except KeyboardInterrupt:
        fail("stopped; what was finished is kept, start again to continue", 130)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _discard()
        sys.exit(141)
    except EXPECTED as error:
        if os.environ.get("DPN_TRACEBACK"):
            raise
        fail(message(error))
    sys.exit(code if isinstance(code, int) else 0)


def message(error: BaseException) -> str:
    """The error in one line: a KeyError's without its quotation marks, the system's with what to do about it.

    Example:
        >>> message(KeyError("no such name")), message(FileNotFoundError(2, "No such file or directory", "a/b"))
        ('no such name', 'a/b: No such file or directory; give the path of a file that can be read or written')
    """
    text = str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    elif isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        text = f"{place}{error.strerror}; {_remedy(error)}"
    elif isinstance(error, MemoryError):
        text = f"{text or 'there is not enough memory'}; ask for less at a time, or for something smaller"
    return " ".join(text.split()) or type(error).__name__


def _remedy(error: OSError) -> str:
    if error.filename is not None and error.errno not in OF_DEVICES:
        return "give the path of a file that can be read or written"
    if error.filename is None and error.errno in OF_OUTPUT:
        return "see where the output goes"
    return "try again; if it comes back, see to this machine's disks, network and memory"


def note(text: str) -> None:
    """Says on standard error what a user should know; nothing where there is nothing."""
    if text:
        print(f"note: {text}", file=sys.stderr)


def fail(text: str, code: int = 1) -> NoReturn:
    """Ends the program with one line on standard error."""
    try:
        flush()
    except OSError:
        _discard()
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def flush() -> None:
    """Sends off what was printed: an error of that would otherwise come when the interpreter ends, in its words."""
    if sys.stdout is not None:  # closed by `>&-`
        sys.stdout.flush()


def _fit_terminal() -> None:
    """Keeps a terminal of a few columns, or one that lacks a letter, from ending the program."""
    if shutil.get_terminal_size().columns < LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(LEAST_COLUMNS)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in ("strict", "surrogateescape"):
        sys.stdout.reconfigure(errors="replace")


def _discard() -> None:
    """What could not be printed goes nowhere, or the interpreter would try again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
