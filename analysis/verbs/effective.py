"""The verb `effective` of `python -m analysis`: the page's effective fields as records."""

from pathlib import Path
from typing import Annotated

import tyro

from analysis.effective_fields.erf_records import PROTOCOL, SHOWN, Protocol, measure_effective
from analysis.verbs.named_networks import measure_named
from bench.records.store import RECORDS
from bench.subject import Subject
from bench.sweeps.measuring import open_store
from bench.verbs.arguments import Networks
from dpn.program.cli import Flag, Input


def effective(
    names: Networks = (),
    input_: Input = None,
    protocol: Annotated[Protocol, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="estimate")] = PROTOCOL,
    weights: Path | None = None, again: Flag = False, records: Path = RECORDS,
) -> None:  # fmt: skip
    """Estimates the effective fields that the page shows, and keeps them as records; what is there is not made again.

    Args:
        names: of the zoo, or package.module:factory; by default one of each schedule.
        input_: height and width of the input; by default the network's own, 256x192 for a factory.
        protocol: how they are estimated.
        weights: a file of trained weights, or released, for the network that is named; the page then shows both;
            without, weights are random, even where dpn would take the released ones.
        again: estimate what the records have, too.
        records: the folder of the records.
    """

    def measure(subjects: list[Subject]) -> int:
        return measure_effective(subjects, open_store(records, write=True), protocol, trained=weights, again=again)

    measure_named(names, SHOWN, input_, protocol.initial, weights, measure, "fields")
