"""Which machines were timed, in which settings, and the record of each network there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from analysis.evidence import Evidence
from bench.cell import BackendName
from bench.records.record import METRICS, Record
from bench.records.store import Found
from dpn.program.quantities import so_many

TIMED = ("latency", "throughput", "memory", "energy")
"""Metrics of a network that depend on the machine."""

BACKENDS: tuple[str, ...] = get_args(BackendName)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a network was run: everything in a record's protocol but the input's size.

    Attributes:
        device: "cpu" or "cuda".
        backend: a name of `bench.running.backends.BACKENDS`.
        precision: of the arithmetic.
        batch: images a call.
        threads: of the arithmetic on the CPU.
    """

    device: str
    backend: str
    precision: str
    batch: int
    threads: int

    @property
    def id(self) -> str:
        """In column ids: "eager_1", "openvino_bf16_2", "eager_1_batch8"."""
        precision = f"_{self.precision}" if self.precision != "fp32" else ""
        return f"{self.backend}{precision}_{self.threads}" + (f"_batch{self.batch}" if self.batch > 1 else "")

    @property
    def group(self) -> str:
        """What several columns share: the back end, and precision and batch where they are not the usual ones."""
        precision = self.precision if self.precision != "fp32" or self.device == "cuda" else ""
        return ", ".join(filter(None, (self.backend, precision, f"batch {self.batch}" if self.batch > 1 else "")))

    @property
    def place(self) -> str:
        """Where the arithmetic ran: "1 thread", "2 threads", "GPU"."""
        return "GPU" if self.device == "cuda" else so_many(self.threads, "thread")

    def __str__(self) -> str:
        return f"{self.group}, {self.place}"

    def protocol(self) -> dict[str, Any]:
        """The entries of a record's protocol that this setting decides."""
        return {
            "device": self.device, "backend": self.backend, "precision": self.precision, "batch": self.batch,
            "threads": self.threads,
        }  # fmt: skip

    def order(self) -> tuple[Any, ...]:
        """By which settings are sorted: small batches and PyTorch itself first."""
        known = BACKENDS.index(self.backend) if self.backend in BACKENDS else len(BACKENDS)
        return (self.batch, known, self.backend, self.precision != "fp32", self.precision, self.threads)


def setting_of(protocol: Mapping[str, Any]) -> Setting:
    """The setting of a record's protocol.

    Example:
        >>> str(setting_of({"device": "cpu", "backend": "eager", "precision": "fp32", "batch": 1, "threads": 2}))
        'eager, 2 threads'
    """
    words = {name: str(protocol[name]) for name in ("device", "backend", "precision")}
    return Setting(batch=int(protocol["batch"]), threads=int(protocol["threads"]), **words)


def machines(evidence: Evidence, *metrics: str, holding: str = "") -> tuple[str, ...]:
    """Machines with a record of one of these metrics, the one with most of them first.

    Args:
        evidence: where the records are.
        metrics: names of metrics; by default all of `TIMED`.
        holding: an entry that the detail of a record must have for the record to count.
    """
    counts: dict[str, int] = {}
    for record in _of(evidence, *(metrics or TIMED)):
        if not holding or holding in record.detail:
            counts[record.machine] = counts.get(record.machine, 0) + 1
    return tuple(sorted(counts, key=lambda machine: (-counts[machine], machine)))


def settings(evidence: Evidence, machine: str, metric: str) -> tuple[Setting, ...]:
    """Settings that a metric was measured in on a machine, PyTorch itself first."""
    present = {setting_of(record.protocol) for record in _of(evidence, metric) if record.machine == machine}
    return tuple(sorted(present, key=Setting.order))


def found(evidence: Evidence, subject: str, metric: str, machine: str, setting: Setting) -> Found:
    """The newest current record of a network on a machine, at its own input size, else the newest stale one.

    Of a network that the zoo lacks, whose definition is not known here, the newest of any size is current.
    """
    spec = evidence.zoo.get(subject)
    stale: Record | None = None
    wanted = setting.protocol() | ({} if spec is None else {"input_hw": list(spec.input_hw)})
    current = None if spec is None else (spec.digest(), METRICS[metric].version)
    for record in evidence.by_network.get((machine, metric, subject), ()):
        if all(record.protocol.get(name) == value for name, value in wanted.items()):
            if current in (None, (record.spec_digest, record.metric_version)):
                return Found(record)
            stale = stale or record
    return Found(stale, stale=stale is not None)


def subjects(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Networks with the section of a table that they belong to, each once: those that the paper compares come first."""
    seen = set()
    for name, section in (("table-6", "COCO"), ("table-7", "MPII")):
        table = evidence.reported[name]
        for row in table.rows[1:]:
            subject = table.cell(row, "params").subject
            if subject in evidence.zoo:
                seen.add(subject)
                yield subject, section
    others = [subject for subject in evidence.networks if subject not in seen]
    for family in (True, False):
        for subject in others:
            if subject.startswith("dpn") is family:
                yield subject, "DPN" if family else "other"
    own = {record.subject for record in _of(evidence, *TIMED)} - set(evidence.zoo)
    yield from ((subject, "own") for subject in sorted(own))


def measured_on(evidence: Evidence, machine: str, metric: str) -> list[tuple[str, str]]:
    """Those of `subjects` that have a record of the metric on the machine, current or stale."""
    there = {record.subject for record in _of(evidence, metric) if record.machine == machine}
    return [(subject, section) for subject, section in subjects(evidence) if subject in there]


def _of(evidence: Evidence, *metrics: str) -> Iterator[Record]:
    return (record for record in evidence.store.records if record.metric in metrics)
