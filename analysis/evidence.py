"""What tables, figures and claims are made from: the paper's numbers and the records, behind one small interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records import reported
from bench.records.record import Record
from bench.records.reported import Reported, ReportedTable
from bench.records.store import RECORDS, Found, Store
from bench.statistics import Comparison
from dpn.spec import DPNLiteSpec, ModelSpec
from dpn.zoo import ZOO

if TYPE_CHECKING:
    from bench.verdicts.copies import Copies


@dataclass(frozen=True)
class Evidence:
    """The paper's seven tables and every record, read when first asked for.

    Attributes:
        records_root: the folder of the records.
        reported_root: the folder of the paper's tables.
        zoo: the networks; a name that is not in it has nothing measured.
    """

    records_root: Path = RECORDS
    reported_root: Path = reported.REPORTED
    zoo: Mapping[str, ModelSpec] = field(default_factory=lambda: ZOO)

    @cached_property
    def store(self) -> Store:
        """Every record that can be read; `store.problems` has the lines that cannot."""
        return Store(self.records_root)

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """The networks whose costs are of interest: all but those that exist to be trained quickly."""
        return tuple(name for name, spec in self.zoo.items() if not isinstance(spec, DPNLiteSpec))

    @cached_property
    def reported(self) -> dict[str, ReportedTable]:
        """The paper's tables by name."""
        return reported.load_all(self.reported_root)

    @cached_property
    def by_network(self) -> dict[tuple[str, str, str], list[Record]]:
        """Records by machine, metric and network, the newest first."""
        found: dict[tuple[str, str, str], list[Record]] = {}
        for record in reversed(self.store.records):
            found.setdefault((record.machine, record.metric, record.subject), []).append(record)
        return found

    @cached_property
    def trials(self) -> list[tuple[Record, Comparison]]:
        """Every comparison whose true answer is known, the newest of each kind, as today's rules decide its samples."""
        from bench.verdicts.trials import decided

        return list(decided(list({record.key(): record for record in self.store.records}.values())))

    @cached_property
    def copies(self) -> list["Copies"]:
        """The copies of a network that were measured in one sweep, on any machine.

        Of a network of the zoo those of today's definition; of another, whose definition is not known here, the newest.
        """
        from bench.verdicts import copies

        return [one for one in copies.found(self.store.records) if self._is_current(one.records[0])]

    def _is_current(self, record: Record) -> bool:
        spec = self.zoo.get(record.subject)
        return self.store.is_current(record) if spec is None else record.spec_digest == spec.digest()

    def printed(self, table: str, row: str, column: str) -> Reported:
        """One cell of the paper."""
        return self.reported[table].cell(row, column)

    def found(self, subject: str, metric: str) -> Found:
        """The record of a metric of a network at its own input size; none for a network that the zoo lacks."""
        spec = self.zoo.get(subject)
        return Found(None) if spec is None else self.store.find(spec, metric)

    def record(self, subject: str, metric: str) -> Record | None:
        """The current record, or None where nothing is measured or what is measured is stale."""
        found = self.found(subject, metric)
        return None if found.stale else found.record

    def macs_by_kind(self, subject: str) -> dict[str, int] | None:
        """Multiply-adds by kind of operator, as conventions take them; None where nothing current is measured."""
        record = self.record(subject, "macs")
        return None if record is None else record.detail["by_kind"]
