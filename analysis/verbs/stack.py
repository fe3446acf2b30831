"""The stack of dilated convolutions that `receptive-field` and `gridding` take in the place of a network. No torch."""

import re
from dataclasses import dataclass
from typing import Annotated

import tyro

from analysis.receptive_fields.field_text import shown

LONGEST = 1 << 16
"""Positions that a stack of the command line may span: beyond that a typing error is likelier than a network."""

LARGEST = 2048
"""Positions on an axis of a bounded stack, whose path matrices are the square of it."""

MOST_COUNTED = 1 << 28
"""Numbers of paths in a stack of the command line: about a quarter of a minute."""

INT64_LAYERS = 39
"""Layers of three taps whose numbers of paths fit 64 bits; Python's own integers, beyond, take eight times as long."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack of dilated 3x3 convolutions; its name is --dilations.

    Attributes:
        dilations: of a stack of 3x3 convolutions, input to output, such as 32,16,8,4,2,1.
        modules: how often the stack's module stands in a row.
        map: height and width of its maps, for what depends on their ends.
    """

    dilations: Annotated[str | None, tyro.conf.arg(metavar="D,D,...")] = None
    modules: int = 1
    map: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None

    def instead_of(self, network: str, input_hw: str | None) -> bool:
        """Whether the stack is asked about, and not the network.

        Raises:
            ValueError: both are given or neither, or something that is said of the other one.
        """
        if bool(network) == bool(self.dilations):
            raise ValueError("give either a network (python -m bench list) or --dilations such as 32,16,8,4,2,1")
        if network and (self.modules != 1 or self.map):
            raise ValueError("--modules and --map are for --dilations; a network takes --input HxW")
        if self.dilations and input_hw:
            raise ValueError("--input is for a network; a stack takes --map HxW")
        return not network

    def words(self) -> str:
        """What it is, such as "dilations 1,2,4, modules 1, 3x3 on 32x24"."""
        where = f" on {shown(map_hw)}" if (map_hw := self.map_hw()) else ""
        return f"dilations {','.join(map(str, self.layers()))}, modules {self.modules}, 3x3{where}"

    def layers(self) -> tuple[int, ...]:
        """The dilations of one module.

        Raises:
            ValueError: these are none, or the stack is too large.
        """
        dilations = re.sub(r"\s*,\s*|\s+", ",", (self.dilations or "").strip())
        if not re.fullmatch(r"0*[1-9]\d*(,0*[1-9]\d*)*", dilations, re.ASCII):
            raise ValueError(
                f"dilations are positive integers with commas, such as 32,16,8,4,2,1, not {self.dilations!r}"
            )
        if re.search(r"[1-9]\d{8}", dilations):
            raise ValueError(f"a dilation is too large; give smaller ones, of at most {LONGEST:,} positions in all")
        layers = tuple(map(int, dilations.split(",")))
        if self.modules < 1:
            raise ValueError(f"--modules must be 1 or more, not {self.modules}")
        span = 1 + 2 * sum(layers) * self.modules
        if span > LONGEST:
            raise ValueError(
                f"the stack spans {span:,} positions; give smaller dilations, of at most {LONGEST:,} in all"
            )
        depth = len(layers) * self.modules
        if depth**2 * span > MOST_COUNTED:
            raise ValueError(f"{depth:,} layers that span {span:,} positions have too many paths; give fewer modules")
        return layers

    def map_hw(self) -> tuple[int, int] | None:
        """The size of its maps.

        Raises:
            ValueError: it is none, or too large for the stack's depth.
        """
        if self.map is None:
            return None
        if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", self.map, re.ASCII)):
            raise ValueError(f"a map is HEIGHTxWIDTH in positions, such as 64x48, not {self.map!r}")
        map_hw = int(match[1][:9]), int(match[2][:9])  # of more digits the first nine are too large already
        if max(map_hw) > LARGEST:
            raise ValueError(
                f"a map of {self.map} is too large for its path matrices; give at most {LARGEST} on a side"
            )
        depth = len(self.layers()) * self.modules
        counted = (depth + 1) * (map_hw[0] ** 2 + map_hw[1] ** 2) * (8 if depth > INT64_LAYERS else 1)
        if counted > MOST_COUNTED:
            raise ValueError(
                f"{depth:,} layers on a map of {self.map} have too many paths; give a smaller map or fewer layers"
            )
        return map_hw
