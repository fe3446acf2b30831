"""A picture of many training samples with joints, limbs and targets, to see what a network learns from.

Imports no torch before a sheet is made: targets are drawn as the training code encodes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dpn.arrays import Floats, Pixels
from dpn.data.augment import Change, Sample, apply, draw, generator
from dpn.data.images import LARGEST_PX
from dpn.data.people import Example, Examples
from dpn.drawing import COLORS_BGR, Side, draw_person, side
from dpn.input_size import hw_text
from dpn.protocols import Protocol

BACKGROUND = (32, 28, 26)
FRAME = (84, 78, 74)
INK = (238, 236, 234)
MUTED = (176, 170, 164)

LEAST_WIDTH_PX = 180
"""Crops less wide than this are enlarged; captions need it."""

GAP_PX = 8
CAPTION_PX = 34
HEADER_PX = 34
MOST_PX = 2**27
"""Of the page: some 2,200 tiles of 256x192. Viewers of pictures give up not far beyond."""

GLOW = 0.8
"""How far a target's peak covers the image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tile:
    """One sample on the sheet: which one, what was done to it, and what came out."""

    index: int
    example: Example
    change: Change
    sample: Sample


def sheet(
    examples: Examples,
    protocol: Protocol,
    input_hw: tuple[int, int],
    *,
    count: int = 24,
    seed: int = 0,
    columns: int = 8,
) -> Pixels:
    """Augmented crops with their joints, limbs and target heatmaps.

    The samples are those that `dpn.data.samples.TrainingSamples` gives with this seed in its first epoch; where there
    are fewer people than tiles, those of the next epochs follow. Left and right of the person, not of the picture, have
    colours that differ for every kind of colour vision. A joint without a label is not drawn, nor is a limb that ends
    in one. A glow around a joint is its target; it lies on the heatmap's grid, so that its middle may miss the joint.

    Args:
        examples: the people.
        protocol: how they become samples and targets; with `dpn.data.augment.NONE` as its augmentation, boxes as
            they are.
        input_hw: height and width of the network's input.
        count: number of tiles.
        seed: of the choice of people, and of their augmentation.
        columns: tiles beside each other, at most.

    Returns:
        (H, W, 3), blue, green, red.

    Raises:
        ValueError: there is nobody to show, or no tile was asked for, or more than `MOST_PX` or `LARGEST_PX` allow.
        DataError: an image is missing or cannot be decoded.
    """
    if not len(examples) or count < 1 or columns < 1:
        raise ValueError(
            f"{len(examples)} people on {count} tiles in {columns} columns; a sheet needs at least 1 of each"
        )
    columns, size = min(columns, count), hw_text(input_hw)
    height, width = _page_hw(_tile_hw(input_hw), count, columns)
    if height * width > MOST_PX or max(height, width) > LARGEST_PX:
        raise ValueError(f"{count} tiles of {size} are more than a picture holds; ask for fewer, or for other columns")
    tiles = _tiles(examples, protocol, input_hw, count, seed)
    page = _in_rows([_drawn(tile, examples, protocol, input_hw) for tile in tiles], columns)
    targets = f"{protocol.codec} targets, sigma {protocol.sigma_at(input_hw):g}"
    _head(page, f"{protocol.name}   {size}   {targets}   {len(examples):,} people   seed {seed}")
    return page


def _in_rows(pictures: Sequence[Pixels], columns: int) -> Pixels:
    """Pictures of one size beside and below each other, with room for the head above them."""
    height, width = pictures[0].shape[:2]
    page = _blank(*_page_hw((height, width), len(pictures), columns))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = HEADER_PX + row * (height + GAP_PX), GAP_PX + column * (width + GAP_PX)
        page[top : top + height, left : left + width] = picture
    return page


def _page_hw(tile_hw: tuple[int, int], count: int, columns: int) -> tuple[int, int]:
    """Height and width of so many tiles in rows, with the head above them."""
    rows = -(-count // columns)
    return HEADER_PX + rows * (tile_hw[0] + GAP_PX), GAP_PX + columns * (tile_hw[1] + GAP_PX)


def _tile_hw(input_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a crop as it is drawn, with its caption."""
    return input_hw[0] * _zoom(input_hw) + CAPTION_PX, input_hw[1] * _zoom(input_hw)


def _zoom(input_hw: tuple[int, int]) -> int:
    """How many times as large a crop is drawn."""
    return -(-LEAST_WIDTH_PX // input_hw[1])


def _tiles(examples: Examples, protocol: Protocol, input_hw: tuple[int, int], count: int, seed: int) -> Iterator[_Tile]:
    people = len(examples)
    chosen = np.random.default_rng(seed).choice(people, size=min(count, people), replace=False).tolist()
    for number in range(count):
        epoch, place = divmod(number, len(chosen))
        index = chosen[place]
        example = examples.example(index)
        rng = generator(seed, epoch, index)
        change = draw(rng, protocol.augmentation, example, examples.skeleton, input_hw[1] / input_hw[0])
        sample = apply(example, change, examples.skeleton, protocol, input_hw)
        yield _Tile(index=index, example=example, change=change, sample=sample)


def _drawn(tile: _Tile, examples: Examples, protocol: Protocol, input_hw: tuple[int, int]) -> Pixels:
    """The crop with all that is drawn on it, and its caption below."""
    zoom = _zoom(input_hw)
    size_wh = (input_hw[1] * zoom, input_hw[0] * zoom)
    in_bgr = tile.sample.crop[:, :, ::-1] if protocol.color == "rgb" else tile.sample.crop
    image = np.asarray(cv2.resize(np.ascontiguousarray(in_bgr), size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
    image = _with_targets(image, tile.sample, examples, protocol, input_hw)
    shift = (zoom - 1) / 2  # enlarging keeps the corners of pixels, coordinates count their middles
    points = tile.sample.joints * zoom + shift
    draw_person(image, np.column_stack((points, tile.sample.visible)), examples.skeleton, threshold=0.5)
    cv2.rectangle(image, (0, 0), (size_wh[0] - 1, size_wh[1] - 1), FRAME)
    caption = _blank(CAPTION_PX, size_wh[0])
    _write(caption, _first_line(tile), (1, 14), INK)
    _write(caption, _second_line(tile), (1, 29), MUTED)
    return np.vstack((image, caption))


def _with_targets(
    image: Pixels, sample: Sample, examples: Examples, protocol: Protocol, input_hw: tuple[int, int]
) -> Pixels:
    """The image, covered where targets are, in the colour of the joint's side."""
    targets, (stride_x, stride_y) = _targets(sample, protocol, input_hw)
    size_wh = image.shape[1], image.shape[0]
    zoom = image.shape[0] / input_hw[0]
    shift = (zoom - 1) / 2
    matrix = np.array(((stride_x * zoom, 0, shift), (0, stride_y * zoom, shift)))
    blended = image.astype(np.float32)
    sides = np.array([side(joint) for joint in examples.skeleton.joints])
    for name, color in COLORS_BGR.items():
        heat = cv2.warpAffine(targets[sides == name].max(axis=0), matrix, size_wh, flags=cv2.INTER_LINEAR)
        alpha = GLOW * heat[:, :, None]
        blended += alpha * (np.array(color, dtype=np.float32) - blended)
    return np.clip(blended, 0, 255).astype(np.uint8)


def _targets(sample: Sample, protocol: Protocol, input_hw: tuple[int, int]) -> tuple[Floats, tuple[float, float]]:
    """(K, h, w) float32, nothing where a joint has no weight; and crop pixels for each of theirs, along x and y."""
    import torch

    from dpn.heatmaps import Codec, encode

    codec = Codec.of_protocol(protocol, input_hw)
    targets, weights = encode(torch.from_numpy(sample.joints), torch.from_numpy(sample.visible), codec)
    return np.asarray((targets * (weights[:, None, None] > 0)).numpy()), codec.stride_xy


def _first_line(tile: _Tile) -> str:
    moved = not np.array_equal(tile.change.center, tile.example.center)  # only half bodies have another centre
    return f"{tile.index:,}" + ("  half body" if moved else "") + ("  mirrored" if tile.change.flipped else "")


def _second_line(tile: _Tile) -> str:
    factor = float(tile.change.scale[0] / tile.example.scale[0])
    return f"box x{factor:.2f}  turned {round(tile.change.rotation_deg):+d} deg"


def _head(page: Pixels, title: str) -> None:
    """The title at the left of the sheet's upper edge, the key of colours at its right where there is room."""
    end = _write(page, title, (GAP_PX + 1, 22), INK)
    words: dict[str, Side] = {"person's left": "left", "person's right": "right", "middle": "middle"}
    widths = [_width(word) + 34 for word in words]
    left = page.shape[1] - sum(widths)
    if left < end + 20:
        return
    for (word, name), width in zip(words.items(), widths, strict=True):
        cv2.circle(page, (left + 6, 18), 5, COLORS_BGR[name], cv2.FILLED, cv2.LINE_AA)
        _write(page, word, (left + 16, 22), MUTED)
        left += width


def _write(image: Pixels, text: str, baseline_xy: tuple[int, int], color: tuple[int, int, int]) -> int:
    """Writes, and says where the text ends."""
    cv2.putText(image, text, baseline_xy, cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1, cv2.LINE_AA)
    return baseline_xy[0] + _width(text)


def _width(text: str) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0]


def _blank(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
