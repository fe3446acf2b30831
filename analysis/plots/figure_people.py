"""What a trained network sees in people drawn by a program: the first ones of a record, none of them chosen."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.evidence import Evidence
from analysis.plots import style
from bench.records.record import Record
from dpn.arrays import Floats, Pixels
from dpn.data.opening import Asked, open_data
from dpn.data.people import DataSet
from dpn.drawing import drawn_crop
from dpn.scoring import similarities

METRIC = "ap"
COLUMNS = 6
LEVEL = 8
"""Shades are told apart in steps of so many: nobody sees it, and the page is half a megabyte smaller."""

HEIGHT_PX = 128
"""Of a picture in the figure's files, so that the page stays small."""

LIKENESS_IN = 0.16
"""Height of the line below a picture."""


def data(evidence: Evidence) -> pd.DataFrame:
    """One row for each joint of each person, of the newest record with examples; empty where there is none.

    Columns: network, source and split (of the images), height and width (of the network's input), person (row in the
    data), joint, x, y (in pixels of the image), score (the heatmap's maximum), true_x, true_y, labelled (0 or 1),
    similarity (OKS of the person, from 0 to 1), measured_from (in the first row, for all).
    """
    record = _record(evidence)
    if record is None:
        return pd.DataFrame(columns=["network", "person", "joint", "x", "y", "measured_from"])
    shown = record.detail["examples"]
    height, width = shown["input_hw"]
    known = {"network": record.subject, "source": shown["data"], "split": shown["split"], "height": height,
             "width": width}  # fmt: skip
    people = _opened(shown["data"], shown["split"], height, width)
    keypoints = np.array(shown["keypoints"])
    similar = similarities(replace(people, people=people.people.take(slice(len(keypoints)))), keypoints)
    assert similar is not None  # they are COCO's, in true boxes
    frames = [
        pd.DataFrame({
            **known, "person": row, "joint": people.skeleton.joints, "x": found[:, 0], "y": found[:, 1],
            "score": found[:, 2], "true_x": people.people.joints[row, :, 0], "true_y": people.people.joints[row, :, 1],
            "labelled": people.people.visible[row].astype(int), "similarity": similar[row], "measured_from": "",
        })
        for row, found in enumerate(keypoints)
    ]  # fmt: skip
    table = pd.concat(frames, ignore_index=True)
    table.loc[0, "measured_from"] = record.provenance()
    return table


def _record(evidence: Evidence) -> Record | None:
    """The newest record with examples, of a network as it is defined today."""
    for record in reversed(evidence.store.records):
        spec = evidence.zoo.get(record.subject)
        if record.metric == METRIC and record.detail.get("examples") and spec and spec.digest() == record.spec_digest:
            return record
    return None


@cache
def _opened(source: str, split: str, height: int, width: int) -> DataSet:
    return open_data(Asked(data=source, split=split, input_hw=(height, width)))


def draw(data: pd.DataFrame) -> Figure:
    """Crops as the network takes them, its joints drawn in, and below each how alike they are to the true ones."""
    if data.empty:
        figure = style.canvas(0.6)
        style.say_instead(style.panel(figure, 0, 0, style.COLUMN_IN, 0.5), "no trained network with examples")
        return figure
    first = data.iloc[0]
    hw = int(first.height), int(first.width)
    people = _opened(str(first.source), str(first.split), *hw)
    numbers = list(dict.fromkeys(data.person))
    width = style.COLUMN_IN / COLUMNS
    height = (width - 0.05) * hw[0] / hw[1]
    rows = -(-len(numbers) // COLUMNS)
    figure = style.canvas(rows * (height + LIKENESS_IN))
    for place, number in enumerate(numbers):
        joints = data[data.person == number]
        left, top = (place % COLUMNS) * width, (place // COLUMNS) * (height + LIKENESS_IN)
        axes = style.panel(figure, left + 0.02, top, width - 0.05, height)
        picture = _picture(people, int(number), joints[["x", "y", "score"]].to_numpy(), hw)
        axes.imshow(picture[..., ::-1], interpolation="none", aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_xlabel(f"{float(joints.similarity.iloc[0]):.2f}", fontsize=style.TEXT_PT - 1.5, labelpad=1.5)
    return figure


def _picture(people: DataSet, number: int, keypoints: Floats, hw: tuple[int, int]) -> Pixels:
    """(H, W, 3) a person's crop with the joints drawn in, at the figure's size."""
    height, width = hw
    picture = drawn_crop(people.example(number), keypoints, people.skeleton, hw)
    small: Pixels = cv2.resize(picture, (HEIGHT_PX * width // height, HEIGHT_PX), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small - small % LEVEL + LEVEL // 2


def alt(data: pd.DataFrame) -> str:
    """The figure in words: whose joints were found how well."""
    if data.empty:
        return "No trained network with examples."
    each = data.groupby("person").similarity.first()
    return (
        f"{len(each)} people drawn by a program, with the joints that {data.network.iloc[0]} finds in them. "
        f"Similarity to the true joints (OKS): {', '.join(f'{value:.2f}' for value in each)}."
    )
