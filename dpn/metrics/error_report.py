"""Counts of what is wrong with found joints, by joint and by what makes people hard, and what it costs in AP.

After Ronchi and Perona (ICCV 2017): groups of people by their labelled joints and by overlapping boxes are theirs, the
order of correction too. Imports no torch.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from dpn.metrics.average_precision import AREAS, curves_of, ranked
from dpn.metrics.coco_scores import NAMES, refuse_other_images
from dpn.metrics.keypoint_errors import (
    INVERSION,
    JITTER,
    KINDS,
    MISS,
    SWAP,
    UNLABELLED,
    Diagnosis,
    corrected,
    diagnose,
    overlaps,
    visible,
)
from dpn.metrics.matching import Found, Labelled, Mask, outside, people_of
from dpn.progress import Told
from dpn.skeletons import COCO_17

ORDER = (MISS, SWAP, INVERSION, JITTER)
"""In which errors are corrected, one after the other."""
JOINTS = {"1-5": (1, 5), "6-10": (6, 10), "11-15": (11, 15), "16-17": (16, 17)}
SIZES = {"small": (0.0, AREAS[1][0]), "medium": AREAS[1], "large": AREAS[2]}
OVERLAPS = {"0": (0, 0), "1-2": (1, 2), "3 or more": (3, 10**6)}

Numbers = dict[str, float | None]
"""COCO's ten by their names."""


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """How many labelled joints of people who were located are of each kind.

    Attributes:
        joints: all of them.
        good: as of `dpn.metrics.keypoint_errors`, and so on.
        jitter: how many.
        inversion: how many.
        swap: how many.
        miss: how many.
        similarity: their mean similarity to their own places, None without any.
    """

    joints: int
    good: int
    jitter: int
    inversion: int
    swap: int
    miss: int
    similarity: float | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """People who have something in common.

    Attributes:
        people: how many are to be found.
        located: how many of them were, at an OKS of 0.1.
        AR: average recall, with all others ignored; of medium and large people it is COCO's. None without anybody.
            There is no AP, in which whoever was found and is nobody would count in every group, the small ones most.
        kinds: of their joints.
    """

    people: int
    located: int
    AR: float | None
    kinds: Kinds


@dataclass(frozen=True, kw_only=True)
class Correction:
    """COCO's ten numbers after a kind of error is corrected.

    Attributes:
        alone: this kind alone, as far as it is the error, see `dpn.metrics.keypoint_errors.corrected`.
        in_order: together with those before it in `ORDER`.
        alone_exactly: as alone, but put upon the true places.
        in_order_exactly: likewise.
    """

    alone: Numbers
    in_order: Numbers
    alone_exactly: Numbers
    in_order_exactly: Numbers


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything about one results file.

    Attributes:
        images: in the annotations.
        people: to be found in them.
        found: people in the results, at most 20 of an image.
        located: how many of them are somebody, at an OKS of 0.1.
        nobody: how many are nobody, not even a crowd.
        scores: COCO's ten numbers as they are.
        corrected: by the kind of error.
        total: all joints of everybody located.
        joints: by joint.
        visibility: joints labelled as visible, and as occluded.
        labelled: people by their number of labelled joints.
        size: people by their area.
        overlaps: people by how many others' boxes overlap theirs.
    """

    images: int
    people: int
    found: int
    located: int
    nobody: int
    scores: Numbers
    corrected: dict[str, Correction]
    total: Kinds
    joints: dict[str, Kinds]
    visibility: dict[str, Kinds]
    labelled: dict[str, Group]
    size: dict[str, Group]
    overlaps: dict[str, Group]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the names above."""
        return asdict(self)


def report(truth: dict[str, Any], rows: list[dict[str, Any]], told: Told) -> Report:
    """Looks at every joint of a results file.

    Args:
        truth: the content of an annotation file.
        rows: of a results file for its images.
        told: is told how many scores are found.

    Raises:
        ValueError: as `dpn.metrics.average_precision.score`.
    """
    refuse_other_images(truth, rows)
    people, found, images = people_of(truth, rows)
    diagnosis = diagnose(people, found, images)
    seen, hidden = (mask[diagnosis.true] for mask in visible(people))
    groups = _groups(people, images)
    scores = 1 + 4 * len(ORDER) - 2 + sum(map(len, groups.values()))  # the first of the order is the first alone, too
    done = count(1)
    scorer = _Scorer(people, found, images, diagnosis, lambda: told(next(done), scores))
    joints = np.eye(len(COCO_17.joints), dtype=bool)
    return Report(
        images=images, people=int((~people.ignored).sum()), found=len(found.image), located=len(diagnosis.found),
        nobody=diagnosis.unmatched, scores=scorer.numbers(people, found), corrected=scorer.corrections(),
        total=_kinds(diagnosis), visibility={"visible": _kinds(diagnosis, seen), "occluded": _kinds(diagnosis, hidden)},
        joints={name: _kinds(diagnosis, one) for name, one in zip(COCO_17.joints, joints, strict=True)},
        labelled=scorer.groups(groups["labelled"]), overlaps=scorer.groups(groups["overlaps"]),
        size=scorer.groups(groups["size"]),
    )  # fmt: skip


def _kinds(diagnosis: Diagnosis, chosen: Mask | None = None) -> Kinds:
    """Of those joints that a mask chooses, which broadcasts to (N, K)."""
    known = diagnosis.kind != UNLABELLED
    known = known if chosen is None else known & chosen
    counts = np.bincount(diagnosis.kind[known], minlength=len(KINDS)).tolist()
    mean = float(diagnosis.similarity[known].mean()) if known.any() else None
    return Kinds(joints=sum(counts), similarity=mean, **dict(zip(KINDS, counts, strict=True)))


def _groups(people: Labelled, images: int) -> dict[str, dict[str, Mask]]:
    """(P,) masks of the groups by labelled joints, by size and by overlaps."""
    labelled, crowding = (people.points[:, :, 2] > 0).sum(axis=1), overlaps(people, images)
    sized = {name: ~outside(people.areas, bounds) for name, bounds in SIZES.items()}
    sized["small"] &= ~sized["medium"]  # what lies on the border is medium, as in COCO
    return {
        "labelled": {name: (labelled >= least) & (labelled <= most) for name, (least, most) in JOINTS.items()},
        "size": sized,
        "overlaps": {name: (crowding >= least) & (crowding <= most) for name, (least, most) in OVERLAPS.items()},
    }


class _Scorer:
    """Finds COCO's numbers again and again, and says each time that it has."""

    def __init__(
        self, people: Labelled, found: Found, images: int, diagnosis: Diagnosis, done: Callable[[], None]
    ) -> None:  # fmt: skip
        self._people, self._found, self._images, self._diagnosis = people, found, images, diagnosis
        self._done = done

    def numbers(self, people: Labelled, found: Found) -> Numbers:
        means = curves_of(ranked(people, found, self._images)).means()
        self._done()
        return {name: None if mean < 0 else mean for name, mean in zip(NAMES, means, strict=True)}

    def corrections(self) -> dict[str, Correction]:
        made: dict[tuple[frozenset[int], bool], Numbers] = {}

        def after(*kinds: int, exactly: bool) -> Numbers:
            key = frozenset(kinds), exactly
            if key not in made:
                changed = corrected(self._people, self._found, self._diagnosis, kinds, exactly=exactly)
                made[key] = self.numbers(self._people, changed)
            return made[key]

        return {
            KINDS[kind]: Correction(
                alone=after(kind, exactly=False),
                in_order=after(*ORDER[: number + 1], exactly=False),
                alone_exactly=after(kind, exactly=True),
                in_order_exactly=after(*ORDER[: number + 1], exactly=True),
            )
            for number, kind in enumerate(ORDER)
        }

    def groups(self, masks: dict[str, Mask]) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for name, mask in masks.items():
            some = replace(self._people, ignored=self._people.ignored | ~mask)
            located = mask[self._diagnosis.true]
            found[name] = Group(
                people=int((~some.ignored).sum()),
                located=int(located.sum()),
                AR=self.numbers(some, self._found)["AR"],
                kinds=_kinds(self._diagnosis, located[:, None]),
            )
        return found
