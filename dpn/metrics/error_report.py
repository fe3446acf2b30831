"""Counts of what is wrong with found joints, by joint and by what makes people hard, and what it costs in AP.

After Ronchi and Perona (ICCV 2017): groups of people by their labelled joints and by overlapping boxes are theirs, the
order of correction too. Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from dpn.metrics.average_precision import AREAS, Ranked
from dpn.metrics.coco_scores import refuse_other_images
from dpn.metrics.error_scorer import ORDER, Members, Numbers, Scorer, numbers_of
from dpn.metrics.keypoint_errors import KINDS, UNLABELLED, Diagnosis, diagnose, overlaps, visible
from dpn.metrics.matching import Labelled, Mask, Rows, outside, people_of
from dpn.metrics.resampling import Draws, Interval
from dpn.metrics.uncertainty import Name, Uncertainty, Units, nested, uncertainty
from dpn.metrics.weighted_errors import Share, WeightedErrors
from dpn.program.progress import Told
from dpn.skeletons import COCO_17

JOINTS = {"1-5": (1, 5), "6-10": (6, 10), "11-15": (11, 15), "16-17": (16, 17)}
SIZES = {"small": (0.0, AREAS[1][0]), "medium": AREAS[1], "large": AREAS[2]}
OVERLAPS = {"0": (0, 0), "1-2": (1, 2), "3 or more": (3, 10**6)}


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
        gains: by the kind of error and the name in `Correction`: its AP less that of the scores as they are.
        total: all joints of everybody located.
        joints: by joint.
        visibility: joints labelled as visible, and as occluded.
        labelled: people by their number of labelled joints.
        size: people by their area.
        overlaps: people by how many others' boxes overlap theirs.
        drawn: the resamples; None without any.
        intervals: of shares of the joints and of those located where counts are above, of AR, AP and gains; None where
            there is no number. Named by the places above: ("joints", "nose", "good") or ("corrected", "miss", "alone",
            "AP").
    """

    images: int
    people: int
    found: int
    located: int
    nobody: int
    scores: Numbers
    corrected: dict[str, Correction]
    gains: dict[str, dict[str, float | None]]
    total: Kinds
    joints: dict[str, Kinds]
    visibility: dict[str, Kinds]
    labelled: dict[str, Group]
    size: dict[str, Group]
    overlaps: dict[str, Group]
    drawn: Uncertainty | None
    intervals: dict[Name, Interval | None]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the names above, and intervals as `dpn.metrics.uncertainty.Uncertainty.as_dict`, if any."""
        found = asdict(replace(self, drawn=None, intervals={}))
        del found["drawn"], found["intervals"]
        return found | ({"intervals": self.drawn.as_dict([*self.intervals])} if self.drawn else {})


def report(
    truth: dict[str, Any], rows: list[dict[str, Any]], told: Told,
    draws: Draws = Draws(resamples=0),  # noqa: B008 - frozen
) -> Report:  # fmt: skip
    """Looks at every joint of a results file.

    Args:
        truth: the content of an annotation file.
        rows: of a results file for its images.
        told: is told how many scores are found, those of the resamples among them.
        draws: from which resamples of the images intervals come.

    Raises:
        ValueError: as `dpn.metrics.average_precision.score`.
    """
    refuse_other_images(truth, rows)
    people, found, images = people_of(truth, rows)
    diagnosis = diagnose(people, found, images)
    groups = _groups(people, images)
    scores = 1 + 4 * len(ORDER) - 2 + len(groups)  # the first of the order is the first alone, too
    done = count(1)
    scorer = Scorer(people, found, images, diagnosis, lambda: told(next(done), scores + draws.resamples))
    before, after = scorer.ranked(people, found), scorer.corrections()
    members = {name: scorer.members(mask) for name, mask in groups.items()}
    masks = _joints(people, diagnosis) | {(*name, "kinds"): mask[diagnosis.true, None] for name, mask in groups.items()}
    kinds = {name: _kinds(diagnosis, mask) for name, mask in masks.items()}
    named = {name: one for name, one in kinds.items() if name[-1] != "kinds"} | {
        name: _group(one, kinds[*name, "kinds"]) for name, one in members.items()
    }
    weighted = WeightedErrors(
        _shares(people.image[diagnosis.true], images, diagnosis, masks)
        | {(*name, "located"): (one.located, one.people) for name, one in members.items()},
        {(*name, "AR"): [(hits, one.people) for hits in one.hits] for name, one in members.items()}, before, after,
    )  # fmt: skip
    drawn = uncertainty(
        [weighted], Units(of="images", count=images), draws,
        lambda number, total, text="", /: told(scores + number, scores + total, text),
    )  # fmt: skip
    return Report(
        images=images, people=int((~people.ignored).sum()), found=len(found.image), located=len(diagnosis.found),
        nobody=diagnosis.unmatched, drawn=drawn,
        intervals=dict(zip(weighted.names, drawn.each[0], strict=True)) if drawn else {},
        **_corrected(before, after), **nested([*named], [*named.values()]),
    )  # fmt: skip


def _joints(people: Labelled, diagnosis: Diagnosis) -> dict[Name, Mask]:
    """Of all joints of those located, by joint and by visibility: masks that broadcast to (N, K)."""
    seen, hidden = (mask[diagnosis.true] for mask in visible(people))
    return {
        ("total",): np.ones((1, 1), bool),
        **{
            ("joints", name): one
            for name, one in zip(COCO_17.joints, np.eye(len(COCO_17.joints), dtype=bool), strict=True)
        },
        ("visibility", "visible"): seen,
        ("visibility", "occluded"): hidden,
    }


def _kinds(diagnosis: Diagnosis, chosen: Mask) -> Kinds:
    """Of those joints that a mask chooses, which broadcasts to (N, K)."""
    known = chosen & (diagnosis.kind != UNLABELLED)
    counts = np.bincount(diagnosis.kind[known], minlength=len(KINDS)).tolist()
    mean = float(diagnosis.similarity[known].mean()) if known.any() else None
    return Kinds(joints=sum(counts), similarity=mean, **dict(zip(KINDS, counts, strict=True)))


def _shares(image: Rows, images: int, diagnosis: Diagnosis, masks: Mapping[Name, Mask]) -> dict[Name, Share]:
    """Of each kind among the joints that each mask chooses, for people of such images (N,)."""
    found: dict[Name, Share] = {}
    known = diagnosis.kind != UNLABELLED
    place = image[:, None] * len(KINDS) + diagnosis.kind
    for name, mask in masks.items():
        counts = np.bincount(place[known & mask], minlength=images * len(KINDS)).reshape(images, len(KINDS))
        found |= {(*name, kind): (one, counts.sum(axis=1)) for kind, one in zip(KINDS, counts.T, strict=True)}
    return found


def _groups(people: Labelled, images: int) -> dict[Name, Mask]:
    """(P,) masks of the groups by labelled joints, by size and by overlaps."""
    labelled, crowding = (people.points[:, :, 2] > 0).sum(axis=1), overlaps(people, images)
    sized = {name: ~outside(people.areas, bounds) for name, bounds in SIZES.items()}
    sized["small"] &= ~sized["medium"]  # what lies on the border is medium, as in COCO
    return {
        **{("labelled", name): (labelled >= least) & (labelled <= most) for name, (least, most) in JOINTS.items()},
        **{("size", name): mask for name, mask in sized.items()},
        **{("overlaps", name): (crowding >= least) & (crowding <= most) for name, (least, most) in OVERLAPS.items()},
    }


def _group(members: Members, kinds: Kinds) -> Group:
    return Group(people=int(members.people.sum()), located=int(members.located.sum()), AR=members.AR, kinds=kinds)


def _corrected(before: Ranked, after: Mapping[Name, Ranked]) -> dict[str, Any]:
    """The report's scores, corrected and gains."""
    made = {one: numbers_of(one) for one in (before, *after.values())}
    scores, numbers = made[before], [made[one] for one in after.values()]
    gains = [None if one["AP"] is None or scores["AP"] is None else one["AP"] - scores["AP"] for one in numbers]
    return {
        "scores": scores, "gains": nested([*after], gains),
        "corrected": {kind: Correction(**ways) for kind, ways in nested([*after], numbers).items()},
    }  # fmt: skip
