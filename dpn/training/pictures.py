"""Predictions on the same few people after an epoch, to look at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from dpn.drawing import drawn_crop, write_png
from dpn.inference import predict
from dpn.runtime import Runtime
from dpn.training.order import spread
from dpn.training.prepare import Prepared

PEOPLE = 12
COLUMNS = 6


def draw(net: nn.Module, prepared: Prepared, runtime: Runtime, path: Path) -> None:
    """Writes a sheet of crops with the network's joints drawn in.

    Args:
        net: the network as it is now.
        prepared: the data and how it is cropped.
        runtime: where the network is.
        path: of the PNG; its folder is made.
    """
    people = prepared.data.people.take(spread(len(prepared.data), PEOPLE))
    few = replace(prepared.data, people=people)
    found = predict(net, few, prepared.protocol, prepared.input_hw, runtime)
    cells = []
    for number, keypoints in enumerate(found):
        cell = drawn_crop(few.example(number), keypoints, few.skeleton, prepared.input_hw)
        cells.append(np.pad(cell, ((2, 2), (2, 2), (0, 0)), constant_values=255))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % COLUMNS)
    sheet = np.vstack([np.hstack(cells[begin : begin + COLUMNS]) for begin in range(0, len(cells), COLUMNS)])
    write_png(path, sheet)
