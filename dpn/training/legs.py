"""What made each leg of a run, from a start to the next stop, and what two of them do not share.

Imports no torch until a run begins.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from dpn import checkout
from dpn.processor import multiplies_in
from dpn.training.options import RunOptions
from dpn.training.recipe import Precision

Leg = dict[str, Any]
"""first_step, versions, processes, device, commit, and what decides rounding: on a CPU threads and what bf16 is
multiplied in, "bf16" or "fp32", on a GPU what fp32 is, "ieee" or "tf32"; plain data. The leg of a run that was begun
before legs were kept has what is known of it."""


def this_leg(step: int, where: RunOptions, precision: Precision, versions: Mapping[str, str]) -> Leg:
    """What this process trains with; asked for when training begins, for what starts several processes sets threads.

    Args:
        step: the first one, counted from 0 over the whole run.
        where: on what.
        precision: of the recipe.
        versions: of what decides the weights that come out.
    """
    import torch

    from dpn.gpu_products import products

    commit, dirty = checkout.commit()
    leg = {"first_step": step, "versions": dict(versions), "processes": where.processes,
           "commit": commit + ("+changes" if dirty else "")}  # fmt: skip
    if where.device() == "cuda":
        return leg | {"device": torch.cuda.get_device_name(), "products": products()}
    leg |= {"device": f"cpu {torch.backends.cpu.get_cpu_capability()}", "threads": torch.get_num_threads()}
    return leg if precision == "fp32" else leg | {"bf16 products": "bf16" if multiplies_in("bf16") else "fp32"}


def differing(before: Leg, now: Leg) -> str:
    """What two legs do not share, in words; empty where all is alike that is known of both.

    Example:
        >>> before = {"first_step": 0, "versions": {"torch": "2.12.0"}, "threads": 1, "processes": 1}
        >>> differing(before, before | {"first_step": 40, "versions": {"torch": "2.13.0"}, "threads": 2})
        'torch 2.12.0 before and 2.13.0 now, threads 1 before and 2 now'
    """
    one, other = dict(_conditions(before)), dict(_conditions(now))
    changed = [name for name in one if name in other and one[name] != other[name]]
    return ", ".join(f"{name} {one[name]} before and {other[name]} now" for name in changed)


def changes(legs: Sequence[Leg]) -> list[str]:
    """What changed on the way through a run, a text for each leg that began with a change."""
    return [f"step {now['first_step']}: {words}" for before, now in pairwise(legs) if (words := differing(before, now))]


def _conditions(leg: Leg) -> Iterator[tuple[str, Any]]:
    yield from leg.get("versions", {}).items()
    for name in ("threads", "processes", "device", "products", "bf16 products"):
        if name in leg:
            yield name, leg[name]
    if "commit" in leg:
        commit, plus, words = leg["commit"].partition("+")
        yield "commit", commit[:10] + plus + words
