"""Finished training runs as records: their scores, their budget and seed, and the curve that led there. No torch.

A run belongs to a budget when its recipe is the one of that name, whatever its seed, wherever its folder of data lies,
and whatever its precision, which is what its machine is fast in; a run whose other options were changed by hand is of
the budget "own", and stands beside no other.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from bench.machine import environment
from bench.recording.accuracy import METRIC_OF
from bench.records.lines import Fault, first_fault, read_line
from bench.records.provenance import measured
from bench.records.record import MACHINE_KEY, Record
from bench.records.store import Store
from dpn.digests import digest_of
from dpn.program.error_words import first_line
from dpn.training.errors import TrainingError
from dpn.training.folder import RunFolder, is_folder, rows
from dpn.training.legs import changes
from dpn.training.recipe import Precision
from dpn.training.recipes import RECIPES, Recipe

OWN = "own"
"""The budget of a run whose recipe was changed by hand."""

CONTINUED = "continued under other conditions"
"""Flag of a run that went on with other versions, threads, processes or another commit than it was begun with: nobody
gets its weights again bit for bit."""

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What comes of a result or a log that somebody changed, or that was damaged."""

POINTS = 50
"""At most so many points of a curve are kept."""

Curve = dict[str, list[list[float]]]


@dataclass
class Collected:
    """What came of a collection.

    Attributes:
        added: records that are new.
        present: runs that the store had.
        refused: runs that cannot be recorded, a line each.
        unfinished: folders of runs without a result.
    """

    added: int = 0
    present: int = 0
    refused: list[str] = field(default_factory=list)
    unfinished: int = 0


def collect(folders: Sequence[Path], store: Store, machine: str = "") -> Collected:
    """Adds a record for each finished run below some folders that the store lacks.

    Args:
        folders: with runs at whatever depth.
        store: where the records go.
        machine: the key of the machine that trained, where it was another than this one.

    Raises:
        ValueError: one of the folders is not there, or the machine is no key.
    """
    if machine and not re.fullmatch(MACHINE_KEY, machine):
        raise ValueError(f"--machine {machine!r} is no key of a machine; give one of small letters, digits, dots and "
                         "hyphens, such as nvidia-h200-on-amd-epyc-f26m2s1")  # fmt: skip
    if absent := [str(folder) for folder in folders if not folder.is_dir()]:
        raise ValueError(f"no folder {', '.join(absent)}; name those that dpn train or sweep wrote to")
    found = Collected()
    for run in _runs(folders):
        try:
            made = record_of(run, machine)
        except (ValueError, OSError) as error:
            found.refused.append(str(error))
            continue
        if made is None:
            found.unfinished += 1
            continue
        known = store.newest(made.key())
        if known is None:
            store.append(made)
            found.added += 1
        elif known.value == made.value:
            found.present += 1
        else:
            found.refused.append(
                f"{run.path}: scores {made.value:.6g}, and a run of this recipe, data and seed is recorded with "
                f"{known.value:.6g}; remove that line of {known.machine}/{known.metric}.jsonl to record this one"
            )
    return found


def _runs(folders: Iterable[Path]) -> Iterator[RunFolder]:
    """Every folder of a run below these, each once, in order."""
    signs = ("result.json", "last.pt")
    paths = {path.parent.resolve(): path.parent for folder in folders for sign in signs for path in folder.rglob(sign)}
    return (RunFolder(paths[path]) for path in sorted(paths))


def record_of(run: RunFolder, machine: str = "") -> Record | None:
    """The record of a finished run, or None of one that is not finished.

    Args:
        run: its folder.
        machine: the key of the machine that trained, where it was another than this one.

    Raises:
        ValueError: its result or its log cannot be read, or it was trained on another kind of device than there is
            here; one line with the folder's name.
    """
    result = run.result()
    if result is None:
        return None
    if str(result.get("device")).startswith("cuda") and not machine and environment.gpu_name() is None:
        raise ValueError(f"{run.path} was trained on a GPU, and this machine has none; collect it where that is, or "
                         "add --machine with its key, such as nvidia-h200-on-amd-epyc-f26m2s1")  # fmt: skip
    try:
        record = read_line(_line(run, result, machine))
    except TrainingError:
        raise
    except UNREADABLE as error:
        record = Fault(first_fault(error) if isinstance(error, ValidationError) else first_line(error))
    if isinstance(record, Fault):
        raise ValueError(f"{run.path}: {record.message}; train it again")
    return record


def _line(run: RunFolder, result: Mapping[str, Any], machine: str) -> bytes:
    """The record as a line of a records file, to be read as one: a result holds whatever somebody wrote into it."""
    device = str(result["device"]).partition(":")[0]
    fields, legs = dict(result["fields"]), result.get("legs") or ()
    changed = changes(legs)
    multiplied = list(dict.fromkeys(leg["bf16 products"] for leg in legs if "bf16 products" in leg))
    made = measured(
        result["network"], result["spec_digest"] or result["network"], METRIC_OF[fields["kind"]],
        float(result["scores"]["score"]), device=device, protocol=_protocol(result, fields),
        detail={
            "scores": result["scores"], "best": result["best"], "steps": result["steps"],
            "seconds": result["seconds"], "run": result["digest"], "curve": curve(run.log),
            **({"legs": legs, "changes": changed} if changed else {}),
            **({"bf16_products": ", then ".join(multiplied)} if multiplied else {}),
            **({"backbone": result["backbone"]} if result.get("backbone") else {}),
        },
    )  # fmt: skip
    elsewhere = {"machine": machine, "environment": {"device": device}} if machine else {}
    then = {name: result[name] for name in ("versions", "commit", "dirty")}
    flags = [CONTINUED] if changed else []
    return json.dumps(made.model_dump() | {"flags": flags, **then, **elsewhere}).encode()


def _protocol(result: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    name, _, digest = str(result["data"]["val"]).rpartition(" ")
    return {
        "input_hw": list(result["input_hw"]),
        "data": name,
        "data_digest": digest,
        "trained_on": result["data"]["train"],
        "people": result["people"],
        "protocol": result["protocol"],
        "codec": result["codec"],
        "budget": budget_of(result["recipe"], fields),
        "recipe": recipe_digest(fields),
        "seed": fields["seed"],
        **({"backbone": fields["backbone"]} if "backbone" in fields else {}),
        **_batch_norm(result, fields),
    }


def _batch_norm(result: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, str]:
    """Over how many people batch norm was, of a run that one process alone did not train: else the recipe says it.

    With statistics of its own in each process, 128 people in four are another recipe than 128 in one.
    """
    counts = [leg["processes"] for leg in result.get("legs") or () if "processes" in leg]
    counts = list(dict.fromkeys(counts or [result.get("processes", 1)]))
    if counts == [1]:
        return {}
    batch, together = fields["batch"], fields["sync_batch_norm"]
    told = (
        f"{batch} people together in {count} processes" if together and count > 1
        else f"{batch // count} people in {f'each of {count} processes' if count > 1 else 'one process'}"
        for count in counts
    )  # fmt: skip
    return {"batch_norm": ", then ".join(told)}


def budget_of(name: str, fields: Mapping[str, Any]) -> str:
    """The first word of the recipe's name, or `OWN` where it is not, or no longer, the recipe of that name.

    Args:
        name: of the recipe.
        fields: what was trained, as `Recipe.identity`.

    Example:
        >>> name, fields = "quick/dpn1_32_lite", RECIPES["quick/dpn1_32_lite"].identity()
        >>> [budget_of(name, fields | other) for other in ({"seed": 2}, {"precision": "fp32"}, {"lr": 1.0})]
        ['quick', 'quick', 'own']
    """
    known = RECIPES.get(name)
    if known and is_folder(known.data) and is_folder(fields.get("data")):  # a record has the digest of what is in it
        fields = {**fields, "data": known.data}
    same = known is not None and recipe_digest(fields) in precision_by_digest(known)
    return name.partition("/")[0] if same else OWN


def precision_by_digest(recipe: Recipe) -> dict[str, Precision]:
    """The precisions that a recipe may be trained in, by what `recipe_digest` makes of it then."""
    return {recipe_digest(replace(recipe, precision=precision)): precision for precision in get_args(Precision)}


def recipe_digest(recipe: Recipe | Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of everything that is trained and how, but for the seed."""
    fields = dict(recipe.identity() if isinstance(recipe, Recipe) else recipe)
    del fields["seed"]
    return digest_of(fields)


def curve(log: Path) -> Curve:
    """Pairs of step and loss, and of step and score, from a run's log; neighbours are averaged down to `POINTS`.

    Args:
        log: log.csv; without it both are empty.
    """
    found = rows(log) if log.is_file() else []
    return {
        name: _thinned([(float(row["step"]), float(row[name])) for row in found if row.get(name)])
        for name in ("loss", "score")
    }


def _thinned(pairs: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Means of equally many neighbours, the last ones perhaps fewer, each at the step of its last."""
    size = -(-len(pairs) // POINTS) or 1
    groups = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    return [[group[-1][0], float(f"{sum(value for _, value in group) / len(group):.6g}")] for group in groups]
