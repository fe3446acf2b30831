"""Counting conventions as named objects: what a paper's "GFLOPs" means, and how it gets from a count to print.

A count arrives as multiply-adds (MACs) by kind of operator, a mapping with the keys of `KINDS`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Literal

KINDS = ("convolution", "transposed_convolution", "linear", "matmul", "attention")
"""Kinds of operator that have multiply-adds. Everything else (batch norm, activations, pooling, upsampling,
additions, biases) has none by every convention of this project."""

AT_OUTPUT = "transposed_convolution_at_output"
"""Beside the kinds, a count carries transposed convolutions once more, their kernels multiplied by OUTPUT positions:
stride x stride times too many, as the HRNet repository's summary counts them."""

MODULE_KINDS = ("convolution", "transposed_convolution", "linear")


@dataclass(frozen=True, kw_only=True)
class Convention:
    """How a cost is printed.

    Attributes:
        name: its key in `CONVENTIONS`.
        unit: what stands behind the number.
        flops_per_mac: 1 counts a multiply-add once, 2 counts its multiplication and its addition.
        divisor: the size of the unit: 1, 10**9 or 2**30.
        transposed_at: where transposed convolutions are counted; "input" is the true number of multiply-adds.
        kinds: the kinds of operator that are counted at all.
        rounding: "nearest" (halves away from zero) or "truncated".
        whole: its users print whole numbers; a decimal that a later table shows was added there.
        source: who counts so.
    """

    name: str
    unit: str
    flops_per_mac: Literal[1, 2] = 1
    divisor: int = 1
    transposed_at: Literal["input", "output"] = "input"
    kinds: tuple[str, ...] = KINDS
    rounding: Literal["nearest", "truncated"] = "nearest"
    whole: bool = False
    source: str

    def value(self, macs_by_kind: Mapping[str, int]) -> Fraction:
        """The exact cost in this convention's unit.

        Raises:
            KeyError: the count says nothing of a kind that this convention needs.
        """
        macs = 0
        for kind in self.kinds:
            at_output = kind == "transposed_convolution" and self.transposed_at == "output"
            macs += macs_by_kind[AT_OUTPUT if at_output else kind]
        return Fraction(self.flops_per_mac * macs, self.divisor)

    def printed(self, macs_by_kind: Mapping[str, int], decimals: int = 1) -> str:
        """The cost as a paper would print it, without unit.

        Example:
            >>> CONVENTIONS["gimacs"].printed(dict.fromkeys(KINDS, 0) | {"convolution": 3_224_371_200})
            '3.0'
        """
        return round_printed(self.value(macs_by_kind), decimals, self.rounding)

    def macs_of(self, printed: str) -> Fraction:
        """The multiply-adds that a printed cost stands for, as far as its digits go; the inverse of `printed`."""
        return Fraction(printed) * self.divisor / self.flops_per_mac


def round_printed(value: Fraction | float, decimals: int, rounding: Literal["nearest", "truncated"] = "nearest") -> str:
    """Rounds exactly, in decimal, as a person would: halves away from zero.

    Example:
        >>> round_printed(Fraction(5, 4), 1), round_printed(8.991, 1, "truncated")
        ('1.3', '8.9')
    """
    exact = Fraction(value)
    with localcontext() as context:
        context.prec = 60 + len(str(int(abs(exact)))) + decimals
        quotient = Decimal(exact.numerator) / Decimal(exact.denominator)
        mode = ROUND_HALF_UP if rounding == "nearest" else ROUND_DOWN
        return str(quotient.quantize(Decimal(1).scaleb(-decimals), rounding=mode))


CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(name="macs", unit="MAC", source="multiply-adds, exact: what this project stores"),
        Convention(name="flops", unit="FLOP", flops_per_mac=2, source="torch.utils.flop_counter"),
        Convention(name="gmacs", unit="GMAC", divisor=10**9, source="fvcore, ptflops, timm"),
        Convention(name="gimacs", unit="Gi MAC", divisor=2**30, source="DPN, CPN: multiply-adds / 2^30"),
        Convention(
            name="hrnet_summary",
            unit="Gi MAC",
            divisor=2**30,
            transposed_at="output",
            kinds=MODULE_KINDS,
            source="the HRNet repository's summary: deconvolutions at output size",
        ),
        Convention(
            name="hrnet_summary_truncated",
            unit="Gi MAC",
            divisor=2**30,
            transposed_at="output",
            kinds=MODULE_KINDS,
            rounding="truncated",
            source="SBL's published costs: the HRNet summary, digits cut off",
        ),
        Convention(
            name="gimacs_truncated",
            unit="Gi MAC",
            divisor=2**30,
            rounding="truncated",
            source="DeeperCut's published cost: multiply-adds / 2^30, digits cut off",
        ),
        Convention(
            name="fpd",
            unit="GFLOP",
            flops_per_mac=2,
            divisor=10**9,
            whole=True,
            source="costs in whole numbers, attributed to the Fast Human Pose Estimation table: MCA, JADA, LFP, PIL",
        ),
    )
}


NEAREST = 3
"""How many conventions are named where none prints a cost."""


def lookup(name: str) -> Convention:
    """The convention of that name; a KeyError lists all, with who counts so, when there is none."""
    if name not in CONVENTIONS:
        known = ", ".join(f"{convention.name} ({convention.source})" for convention in CONVENTIONS.values())
        raise KeyError(f"no convention named {name!r}; there are {known}")
    return CONVENTIONS[name]


def printing(cost: str, macs_by_kind: Mapping[str, int]) -> tuple[bool, dict[str, str]]:
    """Which conventions print a count as a paper prints a cost.

    Args:
        cost: as printed, in units of one, 10^9 or 2^30, such as "8.9"; "8.9G" and "8.9 GFLOPs" say no more.
        macs_by_kind: the count.

    Returns:
        Whether there are any, and what these print with as many decimals, by name; else the nearest, nearest first.

    Raises:
        ValueError: the cost is no such number.
    """
    match = re.fullmatch(r"(\d+(?:\.(\d+))?)( ?G[A-Za-z]*)?", cost, re.ASCII)
    if match is None:
        raise ValueError(f"a printed cost is a number such as 8.9 or 8.9G, with a point and no comma, not {cost!r}")
    asked, decimals = Fraction(match[1]), len(match[2] or "")
    printed = {name: convention.printed(macs_by_kind, decimals) for name, convention in CONVENTIONS.items()}
    equal = {name: text for name, text in printed.items() if Fraction(text) == asked}
    near = sorted(printed, key=lambda name: abs(CONVENTIONS[name].value(macs_by_kind) - asked))
    return bool(equal), equal or {name: printed[name] for name in near[:NEAREST]}
