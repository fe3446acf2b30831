"""What a run leaves behind, and where: recipe, checkpoints, a log, pictures, its result.

Imports no torch, but to build the network of a factory that has a result.
"""

import csv
import io
import json
import operator
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from dpn import zoo
from dpn.data.opening import SYNTHETIC, synthetic_options
from dpn.network_names import built, definition_of
from dpn.program.error_words import in_words
from dpn.program.locks import taken
from dpn.program.whole_files import make_folder, write_whole
from dpn.training.errors import LAST, TrainingError, written
from dpn.training.recipe import Recipe

LOG_COLUMNS = ("step", "epoch", "loss", "lr", "people_per_s", "waiting_share", "score", "seconds")
"""Of log.csv; `score` stands in the rows of a validation, the AP or the mean PCKh@0.5."""


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def last(self) -> Path:
        """The newest state, from which the run continues."""
        return self.path / LAST

    @property
    def best(self) -> Path:
        """The weights of the best validation, ready for use."""
        return self.path / "best.pt"

    @property
    def final(self) -> Path:
        """The weights at the end, ready for use."""
        return self.path / "final.pt"

    @property
    def lock(self) -> Path:
        """Locked by the process that trains in the folder."""
        return self.path / ".lock"

    @property
    def log(self) -> Path:
        """Loss, learning rate, speed and scores over the steps."""
        return self.path / "log.csv"

    @property
    def pictures(self) -> Path:
        """Predictions on the same people, epoch after epoch."""
        return self.path / "pictures"

    @property
    def result_file(self) -> Path:
        """What came out; it is there when the run has ended, and only then."""
        return self.path / "result.json"

    def result(self) -> dict[str, Any] | None:
        """What came out, or None while the run has not ended.

        Raises:
            OSError: the file cannot be read.
            TrainingError: it is damaged, or of another version.
        """
        if not self.result_file.is_file():
            return None
        try:
            found = dict(json.loads(_content(self.result_file)))
            # what everybody reads
            _ = found["digest"], float(found["scores"]["score"]), float(found["seconds"]), {**found.get("fields", {})}
            _ = _whom({"val_data": "", "val_people": 0} | found)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise TrainingError(
                f"{self.result_file} is no result of a run of this version ({in_words(error)}); remove it to go on "
                "from the run's last state"
            ) from error
        return found

    def result_of(self, recipe: Recipe) -> dict[str, Any] | None:
        """What came out of this recipe, or None while its run has not ended. What an older run did not note counts.

        Raises:
            OSError: the file cannot be read.
            TrainingError: it is damaged, or the result of something else, which the message names.
            KeyError: no such network in the zoo, with the nearest.
            NetworkError: the network's factory cannot be imported or called.
            ValueError: the recipe's backbone is missing.
        """
        found = self.result()
        if found is None:
            return None
        if found["digest"] != recipe.digest():
            if not found.get("fields"):
                raise TrainingError(f"{self.path} holds the result of another recipe; give another --folder")
            self.check_recipe(recipe, found["fields"])
        before = found.get("definition") or found.get("spec_digest")
        if before:
            self.check_network(recipe, before, _definition(recipe))
        asked = recipe.validated_on()
        scored = {name: found.get(name, value) for name, value in asked.items()}
        if _whom(scored) != _whom(asked):
            remedy = "give another --folder to train again"
            if not asked["val_people"]:  # the verb knows no first people
                words = ("--data", asked["val_data"], "--protocol", recipe.protocol, "--weights", str(self.final))
                size = ("--input", recipe.input) if recipe.input else ()
                command = shlex.join(("python", "-m", "dpn", "evaluate", recipe.network, *words, *size))
                remedy = f"score its weights with {command}, or {remedy}"
            raise TrainingError(f"{self.path} holds the score of {_people(scored)}, not of {_people(asked)}; {remedy}")
        return found

    def check_recipe(self, recipe: Recipe, before: Mapping[str, Any], *, wherever: bool = False) -> None:
        """Raises TrainingError where a run of that `Recipe.identity` is another than this recipe's: what differs.

        How the path of a folder of data is spelt does not count; nor, with `wherever`, where it lies, for one whose
        data is compared by its digest.
        """
        now = recipe.identity()
        differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        there, here = before.get("data"), now["data"]
        if is_folder(there) and is_folder(here) and (wherever or os.path.normpath(there) == os.path.normpath(here)):
            differing = [name for name in differing if name != "data"]
        if differing:
            changes = ", ".join(f"{name} {before.get(name)!r} there and {now.get(name)!r} here" for name in differing)
            raise TrainingError(
                f"{self.path} holds a run with {changes}; give another --folder to start afresh, or say what is there "
                "to go on"
            )

    def check_network(self, recipe: Recipe, before: str, now: str) -> None:
        """Raises TrainingError where these definitions differ; one that is not known, an empty text, does not."""
        if before and before != now:
            raise TrainingError(
                f"{recipe.network} has changed since the run in {self.path} was begun; bring back what it was, or give "
                "another --folder to start afresh"
            )

    @contextmanager
    def to_itself(self) -> Iterator[None]:
        """The folder, made where it is missing, for this process alone.

        Raises:
            TrainingError: another process trains in it, or it cannot be written.
            LockError: its file system has no locks.
        """
        with written(self.path):
            make_folder(self.path)
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o644)
        _LOCKS.add(descriptor)
        try:
            if not taken(descriptor, self.lock):
                raise TrainingError(f"another process trains in {self.path}; wait for it, or give another --folder")
            yield
        finally:
            _LOCKS.discard(descriptor)
            os.close(descriptor)


_LOCKS: set[int] = set()
"""Of this process: one that it forks, to make samples, outlives it for a while, and must not keep the folder locked."""


def _let_go() -> None:
    for descriptor in _LOCKS:
        os.close(descriptor)
    _LOCKS.clear()


os.register_at_fork(after_in_child=_let_go)


def is_folder(data: Any) -> TypeGuard[str]:
    """Whether a recipe's data is the path of a folder; what is synthetic lies nowhere."""
    return isinstance(data, str) and data.partition(":")[0] not in SYNTHETIC


def _definition(recipe: Recipe) -> str:
    """Of the recipe's network as it is now, see `definition_of`; none of the zoo is built for it."""
    if ":" not in recipe.network:
        return zoo.lookup(recipe.network).digest()
    import torch

    torch.manual_seed(recipe.seed)  # as a run does: what is built may be random
    return definition_of(*built(recipe.network))


def _whom(scored: Mapping[str, Any]) -> tuple[str, dict[str, int], int]:
    """The same for the same people, however their data is spelt."""
    data = scored["val_data"]
    options = synthetic_options(data)
    place = data.partition(":")[0] if options else os.path.normpath(data)
    return place, options, operator.index(scored["val_people"])


def _people(scored: Mapping[str, Any]) -> str:
    count = scored["val_people"]
    return f"{f'the first {count} people' if count else 'everyone'} of {scored['val_data']}"


class Log:
    """log.csv: rows are added at its end; a run that is continued drops what lies beyond its step first."""

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        kept = [row for row in rows(path) if int(row["step"]) <= step] if step and path.is_file() else []
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, LOG_COLUMNS)
        writer.writeheader()
        writer.writerows(kept)
        write_whole(path, text.getvalue().encode())

    def add(self, row: Mapping[str, Any]) -> None:
        """One row; columns that it lacks stay empty."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, LOG_COLUMNS).writerow(dict(row))


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a log, but for a last line without an end: what was written when its process was killed.

    Raises:
        OSError: the file cannot be read.
        TrainingError: another line is damaged.
    """
    whole, _, _ = _content(path).rpartition(b"\n")
    columns, found = list[str](), []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            (cells,) = csv.reader([line.decode("utf-8-sig")])
            if columns:
                found.append(_row(columns, cells))
            elif {"step", "seconds"} <= {*cells} <= {*LOG_COLUMNS}:
                columns = cells
            else:
                raise ValueError("no names of columns")
        except (ValueError, csv.Error) as error:
            raise TrainingError(
                f"{path}, line {number}: {in_words(error)}; mend or remove the line, or move the file away"
            ) from error
    return found


def _content(path: Path) -> bytes:
    """What is in a file; an OSError of reading names it as well, like one of opening."""
    try:
        return path.read_bytes()
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _row(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Cells by their columns; ValueError where these are not numbers, or not as many."""
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} values of {len(columns)}")
    row = dict(zip(columns, cells, strict=True))
    _ = int(row["step"]), float(row["seconds"]), [float(cell) for cell in cells if cell]
    return row
