"""What a researcher chooses in the explorer, as frozen data that refuse what makes no sense, in one line. No torch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Literal, get_args

from dpn.input_size import parse_hw

Show = Literal["support", "paths", "shared"]
Direction = Literal["backward", "forward"]
Unit = tuple[int, int]

MOST_LAYERS = 64
"""Layers of a stack: as many maps are drawn."""

MOST_MAPS = 24
"""Maps of a network in one picture."""

LARGEST_DILATION = 256
LARGEST_MAP = 256

ORDERS: Mapping[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "as typed": tuple,
    "reversed": lambda dilations: dilations[::-1],
    "falling": lambda dilations: tuple(sorted(dilations, reverse=True)),
    "rising": lambda dilations: tuple(sorted(dilations)),
}


class ChoiceError(ValueError):
    """A choice makes no sense; the message is one line and says what to choose instead."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What is chosen of any network.

    Attributes:
        unit: row and column of the unit.
        step: rows down and columns right from the unit to its neighbour; mirrored where the map ends before it.
        show: the unit's support, its paths, or what the neighbour shares of its support.
        direction: backward, what the unit reads of the maps before it, or forward, what it reaches in those after it.

    Raises:
        ChoiceError: a value that is none of these.
    """

    unit: Unit
    step: Unit = (0, 1)
    show: Show = "shared"
    direction: Direction = "backward"

    def __post_init__(self) -> None:
        self._freeze("unit", Integral, "a whole row and column, such as (32, 24)", count=2)
        self._freeze("step", Integral, "whole rows and columns, such as (0, 1)", count=2)
        check_one_of("show", self.show, get_args(Show))
        check_one_of("direction", self.direction, get_args(Direction))

    def _freeze(self, field: str, kind: type, allowed: str, *, count: int | None = None) -> None:
        """Makes a field a tuple, which a list could be as well, of that kind of values and so many of them."""
        given = getattr(self, field)
        several = isinstance(given, tuple | list) and count in (None, len(given))
        check(field, given, several and all(_is(kind, one) for one in given), allowed)
        object.__setattr__(self, field, tuple(given))

    @property
    def heading(self) -> str:
        """What the picture shows, in one line."""
        return f"{self.direction} from unit {self.unit}, neighbour {self.step} away"

    @property
    def spread(self) -> str:
        """What is spread over the positions of a map."""
        return "paths"

    def units(self, map_hw: tuple[int, int]) -> tuple[Unit, ...]:
        """The unit and its neighbour on a map of this size; the unit alone on a map of one.

        Raises:
            ChoiceError: one of them is not on the map, or they are the same.
        """
        size = "x".join(map(str, map_hw))
        if not all(0 <= at < end for at, end in zip(self.unit, map_hw, strict=True)):
            raise ChoiceError(f"unit {self.unit} is not on the map of {size}; rows and columns begin at 0")
        if self.step == (0, 0):
            raise ChoiceError("the neighbour is the unit itself; choose a step other than 0 rows and 0 columns")
        if map_hw == (1, 1):
            return (self.unit,)
        other = [
            next((place for place in (at + by, at - by) if 0 <= place < end), None)
            for at, by, end in zip(self.unit, self.step, map_hw, strict=True)
        ]
        if other[0] is None or other[1] is None:
            raise ChoiceError(f"no unit of the map of {size} is {self.step} away from {self.unit}; choose another step")
        return self.unit, (other[0], other[1])


@dataclass(frozen=True, kw_only=True)
class StackChoices(Choices):
    """What is chosen of a stack of dilated 3x3 convolutions.

    Attributes:
        dilations: of one module, before `order` is applied.
        order: one of `ORDERS`.
        modules: how often the module stands in a row.
        map_hw: height and width of all maps.
        shortcuts: variance of a block's branch over that of its identity shortcut; 0 for no shortcuts at all. The
            smaller the ratio, the stronger the shortcut.

    Raises:
        ChoiceError: a value of another kind or out of its range.
    """

    dilations: tuple[int, ...]
    order: str = "as typed"
    modules: int = 1
    map_hw: tuple[int, int] = (64, 48)
    shortcuts: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._freeze("dilations", Integral, "whole numbers, such as (32, 16, 8)")
        self._freeze("map_hw", Integral, "a whole height and width, such as (64, 48)", count=2)
        check_one_of("order", self.order, ORDERS)
        check("modules", self.modules, _is(Integral, self.modules), "a whole number")
        check("shortcuts", self.shortcuts, _is(Real, self.shortcuts), "a variance ratio, or 0 for no shortcuts")
        if not self.dilations or not all(1 <= dilation <= LARGEST_DILATION for dilation in self.dilations):
            raise ChoiceError(f"dilations are from 1 to {LARGEST_DILATION}, and there is at least one")
        if not 1 <= self.modules * len(self.dilations) <= MOST_LAYERS:
            raise ChoiceError(f"{self.modules} modules of {len(self.dilations)} layers; up to {MOST_LAYERS} are drawn")
        check_map(self.map_hw)
        if not isfinite(self.shortcuts) or self.shortcuts < 0:
            raise ChoiceError("the shortcuts' variance ratio is above 0, or 0 for no shortcuts")
        self.units(self.map_hw)

    @property
    def heading(self) -> str:
        """What the picture shows, in one line."""
        dilations = ", ".join(map(str, self.layers[: len(self.dilations)]))
        module = f"{self.modules} x ({dilations})" if self.modules > 1 else dilations
        shortcuts = f"shortcuts v = {self.shortcuts:g}" if self.shortcuts else "no shortcuts"
        return f"dilations {module}, {self.map_hw[0]}x{self.map_hw[1]}, {shortcuts}, {super().heading}"

    @property
    def spread(self) -> str:
        """What is spread over the positions of a map."""
        return "expected squared gradient" if self.shortcuts else "paths"

    @property
    def layers(self) -> tuple[int, ...]:
        """The dilation of every layer, input to output."""
        return ORDERS[self.order](self.dilations) * self.modules


@dataclass(frozen=True, kw_only=True)
class NetworkChoices(Choices):
    """What is chosen of a traced network.

    Attributes:
        network: its name.
        at: name of the map of the unit.
        shown: names of the maps to show.

    Raises:
        ChoiceError: a value of another kind; no map is picked, or too many are.
    """

    network: str
    at: str
    shown: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check("at", self.at, isinstance(self.at, str), "the name of a map")
        self._freeze("shown", str, "names of maps, such as ('input', 'output')")
        if not 1 <= len(self.shown) <= MOST_MAPS:
            raise ChoiceError(f"{len(self.shown)} maps are picked; pick 1 to {MOST_MAPS}")

    @property
    def heading(self) -> str:
        """What the picture shows, in one line."""
        return f"{self.network}, map {self.at}, {super().heading}"


def parse_dilations(text: str) -> tuple[int, ...]:
    """Dilations from "32,16,8,4,2,1"; spaces will do as well.

    Example:
        >>> parse_dilations("4, 2,1")
        (4, 2, 1)

    Raises:
        ChoiceError: the text has another form.
    """
    words = text.replace(",", " ").split()
    if not words or not all(word.isascii() and word.isdigit() and len(word) < 6 for word in words):
        raise ChoiceError(f"dilations are whole numbers with commas between, such as 32,16,8,4,2,1, not {text!r}")
    return tuple(map(int, words))


def parse_map(text: str) -> tuple[int, int]:
    """Height and width of a map from "64x48".

    Raises:
        ChoiceError: the text has another form, or the map cannot be drawn.
    """
    try:
        map_hw = parse_hw(text.strip())
    except ValueError:
        raise ChoiceError(f"the size of a map is HEIGHTxWIDTH, such as 64x48, not {text!r}") from None
    check_map(map_hw)
    return map_hw


def check(field: str, given: object, right: bool, allowed: str) -> None:
    """Raises `ChoiceError` where a field is not given what is allowed."""
    if not right:
        raise ChoiceError(f"{field} is {allowed}, not {given!r}")


def check_one_of(field: str, given: object, names: Iterable[str]) -> None:
    """Raises `ChoiceError` where a field is given none of the names."""
    check(field, given, given in tuple(names), f"one of {', '.join(names)}")


def _is(kind: type, value: object) -> bool:
    """Whether a value is of a kind, of which Python takes True and False for numbers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def check_map(map_hw: tuple[int, int]) -> None:
    """Raises `ChoiceError` where a map is too small or too large to be drawn."""
    if not all(1 <= size <= LARGEST_MAP for size in map_hw):
        raise ChoiceError(f"a map has from 1 to {LARGEST_MAP} rows and columns, not {map_hw[0]} and {map_hw[1]}")
