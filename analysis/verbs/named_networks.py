"""What the verbs share that make records of the networks that are named, or of those of the page. No torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.subject import Subject, resolve


def measure_named(
    names: Sequence[str], shown: Sequence[str], weights: Path | None, measure: Callable[[list[Subject]], int], what: str
) -> None:
    """Measures the networks that are named, and says how many records that added.

    Args:
        names: of the command line.
        shown: networks of the page, where none is named.
        weights: a file of trained weights, for one network.
        measure: measures what is missing, and returns how many records it added.
        what: is measured of each network, in the plural.

    Raises:
        ValueError: weights for no network, or for several.
    """
    if weights is not None and len(names) != 1:
        raise ValueError("--weights takes exactly one network; name it")
    subjects = [resolve(name) for name in names or shown]
    added = measure(subjects)
    print(f"{len(subjects)} {what}: {added} records added, {len(subjects) - added} there already")
