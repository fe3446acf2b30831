"""What is wrong with the words of a command line, in one line that names the remedy, where tyro would draw a box.

How tyro accounts for it is private to it and may change with its version; where it has, tyro's box is shown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from difflib import get_close_matches
from itertools import pairwise, takewhile
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import tyro

if TYPE_CHECKING:
    from tyro._arguments import ArgumentDefinition
    from tyro._errors import ParseErrorEvent

HELP = ("--help", "-h")
TEXT = "a value"
KINDS: Mapping[Any, str] = {
    int: "a whole number", float: "a number", bool: "True or False", Path: "a path", NoneType: "None",
}  # fmt: skip


class CommandError(Exception):
    """The words are no command; says what is wrong with them and where the help is."""


def refused(
    program: str, words: Sequence[str], verbs: Mapping[str, Callable[..., Any]]
) -> AbstractContextManager[None]:  # fmt: skip
    """Within, tyro raises `CommandError` for words that are no command.

    Args:
        program: what was typed before the words.
        words: what tyro parses, the verb first.
        verbs: by name.
    """
    try:
        from tyro._errors import on_parse_error
    except ImportError:
        return nullcontext()
    typed = words[0] if words else ""
    name = typed if typed in verbs else typed.replace("_", "-")
    place = f"{program} {name}" if name in verbs else program

    def hook(event: "ParseErrorEvent") -> None:
        try:
            wrong = _wrong(event, words[1:], verbs[name]) if name in verbs else _no_verb(typed, verbs)
        except (ImportError, AttributeError, TypeError):
            return
        if wrong:
            raise CommandError(f"{wrong}; see {place} --help")

    return on_parse_error(hook)


def _no_verb(typed: str, verbs: Mapping[str, Any]) -> str:
    there = f"there are {', '.join(verbs)}"
    if not typed:
        return f"a verb must follow; {there}"
    if _is_option(typed):
        return f"{typed}: options stand behind a verb; {there}"
    near = get_close_matches(typed, verbs, n=1)
    return f"{typed}: no such verb, the nearest is {near[0]}" if near else f"{typed}: no such verb; {there}"


def _wrong(event: "ParseErrorEvent", words: Sequence[str], verb: Callable[..., Any]) -> str:
    """What is wrong with the words behind a verb; empty for what no verb of this project has."""
    from tyro._errors import BadValue, InstantiationFailure, InvalidChoice, MissingArgs, UnrecognizedArgs

    known = _options(verb)
    options = [_option(word) for word in takewhile(lambda word: word != "--", words) if _is_option(word)]
    unknown = [option for option in dict.fromkeys(options) if option not in (*known, *HELP)]
    if unknown:  # whatever else is wrong may come of it
        return "; ".join(_no_option(option, [*known, *HELP]) for option in unknown)
    match event:
        case BadValue(argument=argument):
            return f"{_name(argument)}: must be followed by {_kind(argument)}"
        case InvalidChoice(argument=argument, value=value):
            return f"{_name(argument)} {value}: must be {_kind(argument)}"
        case InstantiationFailure(argument=asked, message=message):
            if asked is None:
                return str(message)
            return f"{_name(asked)} {_value(asked, words)}: must be {_kind(asked)}"
        case MissingArgs(missing_arguments=missing):
            return "; ".join(_missing(one.arg) for one in missing)
        case UnrecognizedArgs(tokens=tokens):
            return _too_many(tokens, words, known)
    return ""


def _options(verb: Callable[..., Any]) -> dict[str, "ArgumentDefinition"]:
    """The options of a verb by each of their names."""
    from tyro._parsers import ParserSpecification

    parser = ParserSpecification.from_callable_or_type(
        verb, markers=set(), description=None, parent_classes=set(), default_instance=tyro.MISSING_NONPROP,
        intern_prefix="", extern_prefix="", subcommand_prefix="", support_single_arg_types=False, prog_suffix="",
    )  # fmt: skip
    arguments = [one.arg for one in parser.get_args_including_children() if not one.arg.is_positional()]
    known = {name: one for one in arguments for name in one.lowered.name_or_flags}
    pairs = {name: one for name, one in known.items() if one.lowered.action == "boolean_optional_action"}
    return known | {name.replace("--", "--no-", 1): one for name, one in pairs.items()}


def _missing(argument: "ArgumentDefinition") -> str:
    name, kind = _name(argument), _kind(argument)
    return f"{name}: must be given" + (f", {kind}" if kind not in (name, TEXT) else "")


def _no_option(option: str, known: Sequence[str]) -> str:
    near = get_close_matches(option, known, n=1)
    return f"{option}: no such option" + (f", the nearest is {near[0]}" if near else "")


def _too_many(tokens: Sequence[str], words: Sequence[str], known: Mapping[str, "ArgumentDefinition"]) -> str:
    """What is wrong with words that belong to nothing."""
    for word, after in pairwise([*words, ""]):
        flag = known.get(_option(word))
        if flag and flag.lowered.action and tokens[0] in (after, word.partition("=")[2]):
            return f"{_option(word)} {tokens[0]}: must stand alone, it takes no value"
    return f"{' '.join(tokens)}: too many arguments"


def _is_option(word: str) -> bool:
    return word.startswith("-") and word.lstrip("-")[:1].isalpha() and word not in ("-inf", "-infinity", "-nan")


def _option(word: str) -> str:
    """As the help spells it: --time_min=3 is --time-min."""
    return word.partition("=")[0].replace("_", "-")


def _name(argument: "ArgumentDefinition") -> str:
    return argument.field.intern_name.upper() if argument.is_positional() else argument.lowered.name_or_flags[-1]


def _value(argument: "ArgumentDefinition", words: Sequence[str]) -> str:
    """What was typed behind an option, the last time if it was typed more than once."""
    for place in reversed(range(len(words))):
        if _option(words[place]) in argument.lowered.name_or_flags:
            _, equals, value = words[place].partition("=")
            count = argument.lowered.nargs if isinstance(argument.lowered.nargs, int) else None
            after = takewhile(lambda word: not _is_option(word), words[place + 1 :][:count])
            return value if equals else " ".join(after)
    return ""


def _kind(argument: "ArgumentDefinition") -> str:
    """What the value of an option must be, in words."""
    text = argument.field.argconf.metavar or TEXT
    kinds = list(dict.fromkeys(_kinds(argument.field.type_stripped, text)))
    *most, last = kinds or [str(argument.lowered.metavar)]
    return f"{', '.join(most)} or {last}" if most else last


def _kinds(kind: Any, text: str) -> Iterator[str]:
    """Of a type, each kind of value in words; any text is called so."""
    inner = get_args(kind)
    if kind is str:
        yield text
    elif kind in KINDS:
        yield KINDS[kind]
    elif get_origin(kind) is Literal:
        yield from map(str, inner)
    elif get_origin(kind) is tuple:
        yield from (f"{one[2:]}s" if one.startswith("a ") else one for one in _kinds(inner[0], text))
    else:
        for one in inner:
            yield from _kinds(one, text)
