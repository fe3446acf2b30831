"""A count by the parts of its network: which of them cost what. Imports no torch."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.counts.macs import Count


@dataclass(frozen=True, kw_only=True)
class Part:
    """The modules whose paths begin alike, and what they cost together.

    Attributes:
        module: that beginning; "" for what the network itself does and holds, outside of its modules.
        params: parameters, shared ones once, where they stand first.
        macs: nominal multiply-adds.
        live_macs: those whose tap falls inside the map.
    """

    module: str
    params: int
    macs: int
    live_macs: int


def parts(counted: "Count", depth: int) -> list[Part]:
    """The parts in the order of their first calls; what is never counted, such as batch norm, behind its neighbour.

    Args:
        counted: the count; every parameter and multiply-add of it is in one part.
        depth: how many words of a module's path name its part.
    """

    def of(module: str) -> str:
        return ".".join(module.split(".")[:depth])

    params, macs, live_macs = Counter[str](), Counter[str](), Counter[str]()
    for operator in counted.operators:
        macs[of(operator.module)] += operator.macs
        live_macs[of(operator.module)] += operator.live_macs
    order, place = list(macs), 0
    for module, held in counted.params_by_module.items():
        part = of(module)
        params[part] += held
        if part not in order:
            order.insert(place, part)
        place = order.index(part) + 1
    return [Part(module=name, params=params[name], macs=macs[name], live_macs=live_macs[name]) for name in order]
