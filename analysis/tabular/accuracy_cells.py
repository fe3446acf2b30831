"""AP and PCKh that were measured on the paper's own data, as cells beside the printed ones."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from analysis.evidence import Evidence
from analysis.tabular.cells import Cell, Column, compared
from bench.records.reported import Reported
from bench.records.store import Found
from dpn.data.coco import OFFICIAL_DETECTIONS

(_DETECTIONS,) = OFFICIAL_DETECTIONS.values()

AS_PUBLISHED: dict[str, dict[str, Any]] = {
    "ap": {
        "data": "coco val2017", "boxes": "detections", "people": _DETECTIONS, "codec": "quarter", "flip": True,
        "shift": True, "images_digest": None,
    },
    "pckh": {"data": "mpii test", "codec": "quarter", "flip": True, "shift": True},
}  # fmt: skip
"""What a record's protocol says where it was measured as in section IV-A of the paper: for Tables II to VI on COCO
val2017 with SimpleBaseline's boxes, in the images of its own folder, for Table VII on MPII's test set; the mirrored
image, the quarter offset."""

COMMANDS = {
    "ap": "python -m bench accuracy NAME --weights FILE --data COCO --boxes detections",
    "pckh": "python -m bench accuracy NAME --weights FILE --data MPII --split test --truth annolist_dataset_v12.mat",
}
"""What makes such a record."""

NOTES = {
    "ap": "AP, measured: trained weights of this workbench or its user on COCO val2017 with SimpleBaseline's boxes, "
    "the mirrored image and the quarter offset, as the paper says; – where nobody has evaluated any.",
    "pckh": "PCKh, measured: trained weights of this workbench or its user on MPII's test set, with the mirrored image "
    "and the quarter offset, as the paper says; – where nobody has evaluated any.",
}


def found(evidence: Evidence, subject: str, metric: str) -> Found:
    """The newest record of a network's accuracy on the paper's own data, at the network's own input size."""
    spec = evidence.zoo.get(subject)
    if spec is None:
        return Found(None)
    return evidence.store.find(spec, metric, protocol={"input_hw": list(spec.input_hw), **AS_PUBLISHED[metric]})


def printed(evidence: Evidence) -> Iterator[Reported]:
    """Every AP and PCKh that the paper prints for a network."""
    for table in evidence.reported.values():
        yield from (cell for cell in table.cells.values() if cell.metric in AS_PUBLISHED and cell.number is not None)


def any_found(evidence: Evidence, cells: Iterable[Reported]) -> bool:
    """Whether there is a record behind any of these printed cells."""
    return any(found(evidence, cell.subject, cell.metric).record is not None for cell in cells)


def accuracy(evidence: Evidence, printed: Reported) -> Cell:
    """The measured percentage beside a printed one."""
    there = found(evidence, printed.subject, printed.metric)
    if there.record is None:
        return Cell(text="–", state="missing", how=f"nobody has evaluated it; run: {COMMANDS[printed.metric]}")
    weights = there.record.protocol["weights"]
    how = f"in percent, of the weights {weights} on {there.record.detail['people']:,} boxes"
    return compared(there, 100 * Fraction(str(there.record.value)), printed, how=how)


def column(metric: str, group: str) -> Column:
    """The column of measured percentages, beside the reported ones."""
    return Column(id=f"{metric}_measured", label="measured", group=group)
