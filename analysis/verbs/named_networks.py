"""What the verbs share that make records of the networks that are named, or of those of the page. No torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.effective_fields.trained_weights import doubt
from bench.subject import Subject, resolve
from dpn.input_size import asked_hw
from dpn.program.cli import note


def measure_named(
    names: Sequence[str], shown: Sequence[str], input_hw: str | None, initial: str | None, weights: Path | None,
    measure: Callable[[list[Subject]], int], what: str,
) -> None:  # fmt: skip
    """Measures the networks that are named, and says how many records that added.

    Args:
        names: of the command line.
        shown: networks of the page, where none is named.
        input_hw: size of their input, such as 256x192; None for their own.
        initial: how random weights are to be drawn, if that is asked.
        weights: a file of trained weights, for one network.
        measure: measures what is missing, and returns how many records it added.
        what: is measured of each network, in the plural.

    Raises:
        ValueError: weights for no network, or for several.
    """
    if weights is not None and len(names) != 1:
        raise ValueError("--weights takes exactly one network; name it")
    subjects = [resolve(name, asked_hw(input_hw)) for name in names or shown]
    for subject in subjects:
        note(doubt(subject, initial, weights))
    added = measure(subjects)
    print(f"{len(subjects)} {what}: {added} records added, {len(subjects) - added} there already")
