"""The one place where a record gets its provenance: machine, versions, environment, commit, time. Imports no torch."""

import math
from typing import Any

from bench.machine import environment
from bench.records.record import EXACT, METRICS, Record, now
from dpn import checkout


def measured(subject: str, digest: str, metric: str, value: float, *, device: str = "cpu", **fields: Any) -> Record:
    """A record of something measured here and now; of any machine, when the metric is exact.

    Args:
        subject: what was measured.
        digest: identifies its definition.
        metric: a key of `METRICS`.
        value: in the metric's unit.
        device: where it ran; it decides the machine's key.
        fields: further fields of a `Record`, its protocol among them.

    Raises:
        ValueError: the value is no finite number, which no record can hold.
    """
    if not math.isfinite(value):
        raise ValueError(f"the {metric} of {subject} came out as {value}, of which there is no record; mend what "
                         "yields it and measure again")  # fmt: skip
    commit, dirty = checkout.commit()
    meant = METRICS[metric]
    return Record(
        subject=subject,
        spec_digest=digest,
        metric=metric,
        metric_version=meant.version,
        unit=meant.unit,
        value=value,
        machine=EXACT if meant.exact else environment.machine(device),
        versions=environment.versions(),
        environment=environment.describe(device),
        commit=commit,
        dirty=dirty,
        recorded_at=now(),
        **fields,
    )
