"""Results of single processes, kept until their cell is complete, so that a killed sweep repeats one process at most.

Each sweep writes a journal of its own beside the records and holds a lock on it while it lives; the next sweep takes
over every journal that nobody holds. Imports no torch.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

from dpn.program.locks import taken


class Journal:
    """Results by cell: what dead sweeps left, and what this one adds."""

    def __init__(self, root: Path) -> None:
        """Opens a journal in the folder of the records and reads those that dead sweeps left there.

        Raises:
            OSError: nothing can be written there, or not safely.
        """
        root.mkdir(parents=True, exist_ok=True)
        self._found: dict[str, list[dict[str, Any]]] = {}
        self._taken_over: list[tuple[Path, IO[bytes]]] = []
        left = sorted(root.glob(".journal-*.jsonl"))
        self._path = root / f".journal-{time.time_ns():020}-{os.getpid()}.jsonl"  # read again in order of time
        aside = self._path.with_suffix(".part")
        self._file = aside.open("ab")
        try:
            taken(self._file.fileno(), self._path)
        except OSError:
            self._file.close()
            aside.unlink()
            raise
        aside.rename(self._path)  # it gets its name when it is locked, so that no other sweep takes it over
        for path in left:
            self._take_over(path)

    def results(self, key: str) -> list[dict[str, Any]]:
        """The results of a cell's processes so far, in order."""
        return list(self._found.get(key, ()))

    def add(self, key: str, result: dict[str, Any]) -> None:
        """Keeps the result of one process; it is on disk when this returns."""
        self._write({"key": key, "result": result})

    def done(self, key: str) -> None:
        """Forgets a cell, which has its record now."""
        if key in self._found:
            self._write({"key": key})

    def keep_only(self, wanted: Callable[[str], bool]) -> Counter[str]:
        """Forgets the results whose key nobody can ask for any more, and returns how many each such key had."""
        dropped = Counter({key: len(results) for key, results in self._found.items() if not wanted(key)})
        for key in dropped:
            self.done(key)
        return dropped

    def _take_over(self, path: Path) -> None:
        file = path.open("ab+")
        if not taken(file.fileno(), path):  # a sweep that lives
            file.close()
            return
        file.seek(0)
        for line in file:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):  # the line that was being written when its sweep was killed
                continue
            if _is_entry(entry):
                self._remember(entry)
        self._taken_over.append((path, file))

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._remember(entry)

    def _remember(self, entry: dict[str, Any]) -> None:
        if "result" in entry:
            self._found.setdefault(entry["key"], []).append(entry["result"])
        else:
            self._found.pop(entry["key"], None)

    def close(self) -> None:
        """Removes the journals once nothing in them waits for its cell, else leaves them for the next sweep."""
        for path, file in [*self._taken_over, (self._path, self._file)]:
            if not self._found:
                path.unlink(missing_ok=True)
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_entry(entry: Any) -> bool:
    """Whether it is what `Journal._write` writes."""
    return isinstance(entry, dict) and isinstance(entry.get("key"), str) and isinstance(entry.get("result", {}), dict)
