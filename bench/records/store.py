"""Where records live: append-only JSON lines under results/records/<machine>/<metric>.jsonl. Imports no torch.

The store is the cache of every measurement: what is in it need not be measured again. A line is written whole and
flushed; a line that cannot be read, or lacks what its metric's readers rely on, is a `Problem`, reported with file and
line, and the rest is used. A file that cannot be read is told likewise, and is an error for who adds to it.
The newest of some records is the one that was recorded last, wherever a merge of two branches has put its line.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.lines import Fault, Problem, grouped, read_line
from bench.records.record import METRICS, Identity, Record, identity, now
from dpn.checkout import ROOT
from dpn.program.locks import LockError, taken
from dpn.program.whole_files import write_all
from dpn.spec import ModelSpec

RESULTS = ROOT / "results"
RECORDS = RESULTS / "records"

FORWARD = "brought_forward_at"
"""Entry of the detail of a record that was brought forward: when, as in `recorded_at`."""


@dataclass(frozen=True)
class Found:
    """The answer to a question to the store.

    Attributes:
        record: the newest record that answers it, or None.
        stale: the record is of an older definition of the network, or of an older version of the metric.
    """

    record: Record | None
    stale: bool = False


class Store:
    """The records below one folder, read once when the store is made, and appended to."""

    def __init__(self, root: Path = RECORDS) -> None:
        self.root = root
        self.records: list[Record] = []
        self.problems: list[Problem] = []
        self._by_key: dict[str, Record] = {}
        self._of_metric: dict[str, list[Record]] = {}
        self._current: dict[Identity, Record] = {}
        self._sizes: dict[Path, int] = {}
        self._unreadable: dict[Path, OSError] = {}
        self.refresh()

    def refresh(self) -> None:
        """Reads what other processes have appended since the store was made."""
        self._unreadable.clear()
        for path in sorted(self.root.glob("*/*.jsonl")):
            try:
                self._read_on(path)
            except OSError as error:
                self._unreadable[path] = OSError(error.errno, error.strerror, str(path))

    def _read_on(self, path: Path) -> None:
        known = self._sizes.get(path, 0)
        if path.stat().st_size <= known:
            return
        first, content = _tail(path, known)
        self._sizes[path] = known + len(content)
        found: list[Record] = []
        for line, result in _parsed(content, first):
            if isinstance(result, Record):
                found.append(result)
            else:
                self.problems.append(Problem(path, line, result))
        for record in sorted(found, key=_since):
            self._add(record)

    def warnings(self) -> list[str]:
        """What to say of the lines and files that could not be used: a sentence for each file and cause."""
        unreadable = [
            f"{path}: {error.strerror}; skipped, make it a file that can be read, or remove it"
            for path, error in self._unreadable.items()
        ]
        return [*grouped(self.problems), *unreadable]

    def why_empty(self) -> str:
        """Why there is no record here and what to do; empty where there is one."""
        if self.records:
            return ""
        if self.problems:
            return f"none of the {len(self.problems)} lines below {self.root} can be used, for the reasons above"
        if self._unreadable:
            return f"no file below {self.root} can be read, for the reasons above"
        return f"no records below {self.root}; they are files such as exact/macs.jsonl"

    def append(self, record: Record) -> None:
        """Adds one line to the record's file, whole and on disk when this returns, and safe beside other writers.

        Raises:
            OSError: it cannot be written, or not safely; nothing is left of the line.
        """
        path = self.root / record.machine / f"{record.metric}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        line = record.model_dump_json().encode() + b"\n"
        with path.open("ab+", buffering=0) as file:
            taken(file.fileno(), path, wait=True)
            if _torn(file.fileno()):
                line = b"\n" + line
            size = file.seek(0, os.SEEK_END)
            try:
                _write_synced(file.fileno(), line)
            except OSError:  # no room for all of it: a part of a line helps nobody
                os.ftruncate(file.fileno(), size)
                raise
        if self._sizes.get(path, 0) == size:  # else somebody else's lines are still to be read, and this one with them
            self._sizes[path] = size + len(line)
            self._add(record)
        else:
            self.refresh()

    def newest(self, key: str) -> Record | None:
        """The newest record with that key, or None.

        Raises:
            OSError: the file that it would be in cannot be read, so that nothing may be added to it either.
        """
        machine, metric, _ = key.split("/", 2)
        if error := self._unreadable.get(self.root / machine / f"{metric.rpartition('.v')[0]}.jsonl"):
            raise error
        return self._by_key.get(key)

    def current(self) -> list[Record]:
        """The newest record of each subject, metric, protocol and machine: what whoever reads the store takes."""
        return list(self._current.values())

    def is_current(self, record: Record) -> bool:
        """Whether the newest record of its subject, metric, protocol and machine has its key, and so its definition."""
        newest = self._current.get(identity(record))
        return newest is not None and newest.key() == record.key()

    def bring_forward(self, key: str, subject: str) -> bool:
        """Whether there is a record with that key; it is the current one of that subject when this returns.

        A network that was changed, measured and changed back has its first record, but a newer one of another
        definition; a network that was renamed has its record under another name. Both are appended again, with the time
        of that in their detail, so that they are newer than what was recorded in between.
        """
        known = self.newest(key)
        if known is None:
            return False
        known = known.model_copy(update={"subject": subject})
        if not self.is_current(known):
            self.append(known.model_copy(update={"detail": known.detail | {FORWARD: now()}}))
        return True

    def _add(self, record: Record) -> None:
        self.records.append(record)
        self._by_key[record.key()] = record
        self._of_metric.setdefault(record.metric, []).append(record)
        self._current[identity(record)] = record

    def find(
        self,
        spec: ModelSpec,
        metric: str,
        *,
        protocol: Mapping[str, Any] | None = None,
        machine: str | None = None,
    ) -> Found:
        """The newest current record of a metric of a network, else the newest stale one, else none.

        Args:
            spec: the network; a record is current when it has this spec's digest.
            metric: a key of `METRICS`.
            protocol: entries that the record's protocol must have; by default the spec's own input size.
            machine: only records of that machine.
        """
        wanted = {"input_hw": list(spec.input_hw)} if protocol is None else protocol
        digest, version = spec.digest(), METRICS[metric].version
        stale: Record | None = None
        for record in reversed(self._of_metric.get(metric, ())):
            if machine is not None and record.machine != machine:
                continue
            if any(record.protocol.get(name) != value for name, value in wanted.items()):
                continue
            if record.spec_digest == digest and record.metric_version == version:
                return Found(record)
            if record.subject == spec.name and stale is None:
                stale = record
        return Found(stale, stale=stale is not None)


def require_folder(records: Path) -> None:
    """Raises ValueError where there is no such folder, for who only reads: an empty store would be its answer."""
    if not records.is_dir():
        raise ValueError(f"no folder {records.resolve()}; give a folder of records such as {RECORDS}")


def _since(record: Record) -> str:
    """When a record was recorded, or brought forward."""
    return str(record.detail.get(FORWARD, record.recorded_at))


def _tail(path: Path, start: int) -> tuple[int, bytes]:
    """What follows the first `start` bytes, and the number of its first line; no writer is in the middle of a line."""
    with path.open("rb") as file:
        with suppress(LockError):  # who only reads spoils nothing
            taken(file.fileno(), path, shared=True, wait=True)
        before = file.read(start).count(b"\n")
        return before + 1, file.read()


def _parsed(content: bytes, first: int) -> Iterator[tuple[int, Record | Fault]]:
    for number, line in enumerate(content.split(b"\n"), start=first):
        if line.strip():
            yield number, read_line(line)


def _write_synced(descriptor: int, line: bytes) -> None:
    write_all(descriptor, line)
    os.fsync(descriptor)


def _torn(descriptor: int) -> bool:
    """Whether the file's last line was cut off before its end."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
