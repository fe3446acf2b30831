"""COCO's ten numbers for keypoints, and what both engines that find them have in common. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dpn.data.coco_problems import PERSON

NAMES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
"""COCO's ten numbers for keypoints, in its order."""

Engine = Literal["pycocotools", "own"]
"""What scored: pycocotools, or `dpn.metrics.average_precision`, which finds the same numbers."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """COCO's ten numbers, from 0 to 1; None where there is nobody to find (COCO's -1).

    Attributes:
        AP: average precision, the mean over similarities from 0.50 to 0.95.
        AP50: at 0.50.
        AP75: at 0.75.
        APM: of medium people, from 32^2 to 96^2 square pixels.
        APL: of large people, beyond.
        AR: average recall, as AP.
        AR50: at 0.50.
        AR75: at 0.75.
        ARM: of medium people.
        ARL: of large people.
        n_images: in the annotations.
        n_people: in the annotations who count, see `to_find`.
        engine: what found these numbers.
    """

    AP: float | None
    AP50: float | None
    AP75: float | None
    APM: float | None
    APL: float | None
    AR: float | None
    AR50: float | None
    AR75: float | None
    ARM: float | None
    ARL: float | None
    n_images: int
    n_people: int
    engine: Engine


def to_find(truth: dict[str, Any]) -> list[dict[str, Any]]:
    """The annotated people who count: of no other category, no crowds, with at least one labelled joint."""
    people = (one for one in truth["annotations"] if one["category_id"] == PERSON)
    return [one for one in people if not one.get("iscrowd") and one["num_keypoints"] > 0]


def refuse_other_images(truth: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Whichever engine scores.

    Raises:
        ValueError: rows of images that the annotations do not have.
    """
    others = {row["image_id"] for row in rows} - {image["id"] for image in truth["images"]}
    if others:
        raise ValueError(f"results for {len(others)} images that the annotations do not have, such as {min(others)}")


def as_scores(truth: dict[str, Any], numbers: Sequence[float], engine: Engine) -> Scores:
    """`NAMES`' ten numbers of an engine, with -1 where there is nobody to find, and whom they are about."""
    found = [None if number < 0 else float(number) for number in numbers]
    people = len(to_find(truth))
    return Scores(**dict(zip(NAMES, found, strict=True)), n_images=len(truth["images"]), n_people=people, engine=engine)
