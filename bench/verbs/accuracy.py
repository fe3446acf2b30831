"""The verbs `accuracy` and `trained`: what trained weights are worth, as records. Torch is imported when they run."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from bench.recording import accuracy as measuring
from bench.recording.trained import Collected, collect
from bench.records.record import Record
from bench.records.store import RECORDS
from bench.sweeps.measuring import open_store
from dpn.program.cli import Flag, Network, note
from dpn.program.progress import progress
from dpn.runtime import Runtime
from dpn.scoring import whom
from dpn.verbs.evaluate import Wanted, kept_in

Folders = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER [...]")]


def accuracy(
    network: Network, wanted: Annotated[Wanted, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="data")],
    weights: Path | None = None,
    runtime: Annotated[Runtime, tyro.conf.OmitArgPrefixes] = Runtime(),  # noqa: B008 - frozen
    truth: Path | None = None, results: Path | None = None, again: Flag = False, records: Path = RECORDS,
) -> None:  # fmt: skip
    """Evaluates trained weights on a data set and keeps COCO's AP, or MPII's PCKh@0.5, as a record.

    What is there already, with the same weights, data and protocol, is not measured again.

    Args:
        network: a name of the zoo, or package.module:factory.
        wanted: which data, and how. The paper's Tables II to VI need --data COCO --boxes detections.
        weights: a file of weights; by default those that come with this project, if any, and a factory's own.
        runtime: how the network runs.
        truth: MPII's test set has its truth in a file of its own: annolist_dataset_v12.mat.
        results: write the results there, as the data's own scoring reads them.
        again: measure what the records have, too.
        records: the folder of the records.
    """
    store = open_store(records, write=True)
    known, digest = measuring.network_of(network, weights)
    note(known.note_under(wanted.protocol))
    asked = wanted.asked(known.input_hw)
    data, protocol = wanted.opened(asked)
    question = measuring.Question(
        network=known, digest=digest, data=measuring.with_truth(data, truth) if truth else data,
        source=wanted.data, split=wanted.split, protocol=protocol, input_hw=asked.known_input_hw, runtime=runtime,
    )  # fmt: skip
    with kept_in(results), progress("people") as told:
        made, fresh = measuring.measure(question, store, again=again, results=results, told=told)
    print(_said(made, "added" if fresh else "there already; --again measures it again"))


def _said(record: Record, outcome: str) -> str:
    where = f"{record.protocol['data']}, {record.protocol['boxes']} boxes, {record.protocol['people']:,} people"
    said = f"{record.metric} {100 * record.value:.1f} % of {record.subject} on {where}: record {outcome}"
    return said if record.metric == "ap" else f"{said}\n{whom(record.detail['scores'], str(record.protocol['data']))}"


def trained(folders: Folders, machine: str = "", records: Path = RECORDS) -> int:
    """Collects the finished runs below some folders as records, with scores and training curve; no run twice.

    Args:
        folders: such as runs/; every folder below with a result.json is a finished run.
        machine: the key of the machine that trained, such as nvidia-h200-on-amd-epyc-f26m2s1, where it was another than
            this one.
        records: the folder of the records.
    """
    if not folders:
        raise ValueError("no folder; name those of the runs, such as runs")
    found = collect(folders, open_store(records, write=True), machine)
    for line in found.refused:
        print(f"left out: {line}", file=sys.stderr)
    print(_summary(found))
    return 1 if found.refused else 0


def _summary(found: Collected) -> str:
    unfinished = f", {found.unfinished} not finished yet" if found.unfinished else ""
    return (
        f"{found.added + found.present + len(found.refused)} finished runs: {found.added} records added, "
        f"{found.present} there already, {len(found.refused)} left out{unfinished}"
    )
