"""Boxes, affine matrices and crops against the published arithmetic, written once more step by step."""

import json
import math
from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpn.data.crops import affine, box_to_center_scale, check_opencv, crop, transform
from tests.dpn.data.made_people import noise_image
from tests.dpn.samples import COCO, needs_samples

SIZES_WH = ((192, 256), (288, 384), (256, 256), (48, 64))

Array = NDArray[np.float64]


def stepwise_center_scale(box: list[float], aspect: float, padding: float) -> tuple[Array, Array]:
    """Section 1 of the facts for one box, in the published types: float64, float32, padding in float32."""
    x, y, w, h = (float(value) for value in box)
    center = np.zeros(2, dtype=np.float32)
    center[0], center[1] = x + w / 2, y + h / 2
    if w > aspect * h:
        h = w / aspect
    elif w < aspect * h:
        w = aspect * h
    scale = np.array([w / 200, h / 200], dtype=np.float32)
    return center, scale * padding if center[0] != -1 else scale


def stepwise_affine(center: Array, scale: Array, rotation_deg: float, output_wh: tuple[int, int]) -> Array:
    """Section 3 of the facts: three pairs of float32 points."""
    source, target = np.zeros((3, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32)
    t = np.pi * rotation_deg / 180
    width = (scale * 200)[0]
    x, y = 0.0, float(width) * -0.5
    source[0] = center
    source[1] = [center[0] + (x * np.cos(t) - y * np.sin(t)), center[1] + (x * np.sin(t) + y * np.cos(t))]
    target[0] = output_wh[0] * 0.5, output_wh[1] * 0.5
    target[1] = output_wh[0] * 0.5, output_wh[1] * 0.5 - output_wh[0] * 0.5
    for points in (source, target):
        a, b = points[0] - points[1]
        points[2] = points[1] + np.array([-b, a], dtype=np.float32)
    return cv2.getAffineTransform(source, target)


def closed_form(center: Array, scale: Array, rotation_deg: float, output_wh: tuple[int, int]) -> Array:
    width, height = output_wh
    k, t = width / (200 * float(scale[0])), math.radians(rotation_deg)
    cx, cy = (float(value) for value in center)
    return np.array((
        (k * math.cos(t), k * math.sin(t), width / 2 - k * (cx * math.cos(t) + cy * math.sin(t))),
        (-k * math.sin(t), k * math.cos(t), height / 2 - k * (-cx * math.sin(t) + cy * math.cos(t))),
    ))  # fmt: skip


def random_boxes(count: int, seed: int = 0) -> Array:
    """Boxes with two decimals, as in COCO's files, people of 20 to 400 px."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(np.log(20), np.log(400), (count, 2)))
    return np.round(np.column_stack((rng.uniform(-20, 620, (count, 2)), size)), 2)


def bits(values: NDArray[np.float32]) -> list[int]:
    assert values.dtype == np.float32
    return values.view(np.uint32).ravel().tolist()


@pytest.mark.parametrize("aspect", [192 / 256, 288 / 384, 1.0])
@pytest.mark.parametrize("padding", [1.25, 1.0, 1.1])
def test_centres_and_scales_are_the_published_ones_bit_for_bit(aspect: float, padding: float) -> None:
    """Section 1, one box at a time and many at once alike."""
    boxes = random_boxes(500)
    boxes[0] = (10, 20, 60, 80)  # of the aspect 0.75 already
    boxes[1] = (-11, 5, 20, 30)  # its centre is at x = -1: not padded
    centers, scales = box_to_center_scale(boxes, aspect, padding)
    for box, center, scale in zip(boxes, centers, scales, strict=True):
        expected = stepwise_center_scale(box.tolist(), aspect, padding)
        assert bits(center) == bits(expected[0])
        assert bits(scale) == bits(expected[1])
        alone = box_to_center_scale(box.tolist(), aspect, padding)
        assert bits(alone[0]) == bits(center)
        assert bits(alone[1]) == bits(scale)
    assert scales[1].tolist() == pytest.approx((np.maximum((20, 30), (30 * aspect, 20 / aspect)) / 200).tolist())


def test_padding_in_double_precision_would_be_noticed() -> None:
    boxes = random_boxes(500)
    _, scales = box_to_center_scale(boxes, 0.75, 1.1)
    width, height = boxes[:, 2], boxes[:, 3]
    in_double = (np.maximum(width, 0.75 * height) / 200 * 1.1).astype(np.float32)
    assert np.any(in_double != scales[:, 0])


@needs_samples
def test_centres_and_scales_of_real_boxes() -> None:
    boxes = [row["bbox"] for row in json.loads((COCO / "test_coco.json").read_text())["annotations"]]
    boxes += [row["bbox"] for row in json.loads((COCO / "test_coco_det_AP_H_56.json").read_text())]
    centers, scales = box_to_center_scale(boxes, 192 / 256)
    expected = [stepwise_center_scale(box, 192 / 256, 1.25) for box in boxes]
    assert bits(centers) == bits(np.stack([center for center, _ in expected]))
    assert bits(scales) == bits(np.stack([scale for _, scale in expected]))


def test_boxes_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"an array of shape \(3,\)"):
        box_to_center_scale((1, 2, 3), 0.75)
    with pytest.raises(ValueError, match="positive"):
        box_to_center_scale((1, 2, 3, 4), 0)
    assert [array.shape for array in box_to_center_scale(np.empty((0, 4)), 0.75)] == [(0, 2), (0, 2)]


@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=["coco", "mpii"])
def test_matrix_is_opencvs_of_the_three_points_bit_for_bit(kind: type[np.floating]) -> None:
    """Section 3, in the types of both data sets."""
    rng = np.random.default_rng(1)
    for output_wh, rotation in product(SIZES_WH, (0.0, 0.0, *rng.uniform(-80, 80, 50))):
        center, scale = rng.uniform(0, 640, 2).astype(kind), rng.uniform(0.1, 3, 2).astype(kind)
        found = affine(center, scale, rotation, output_wh)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, stepwise_affine(center, scale, rotation, output_wh), strict=True)


@pytest.mark.parametrize(("rotations", "bound_px"), [((0.0,), 8e-5), ((-80.0, -33.3, 7.0, 45.0, 80.0), 2e-4)])
def test_matrix_is_the_closed_form_but_for_its_float32_points(rotations: tuple[float, ...], bound_px: float) -> None:
    """Section 3, in pixels of the image; float32 points they are: the difference is there."""
    centers, scales = box_to_center_scale(random_boxes(300, seed=2), 0.75)
    worst = 0.0
    for output_wh in SIZES_WH[:2]:
        corners = list(product((0, output_wh[0]), (0, output_wh[1])))
        for center, scale, rotation in zip(centers, scales, rotations * (300 // len(rotations)), strict=True):
            exact = closed_form(center, scale, rotation, output_wh)
            found = affine(center, scale, rotation, output_wh)
            in_image = [transform(corners, cv2.invertAffineTransform(matrix)) for matrix in (exact, found)]
            worst = max(worst, float(np.abs(in_image[0] - in_image[1]).max()))
    assert 1e-7 < worst < bound_px


def test_only_the_width_of_the_scale_counts() -> None:
    one, other = (affine((50, 60), (0.5, height), 20, (192, 256)) for height in (0.6, 3.0))
    np.testing.assert_array_equal(one, other)


def test_a_rotation_turns_the_box_clockwise() -> None:
    """At 90 degrees what was right of the centre is at the crop's top, what was below at its right; y points down."""
    matrix = affine((100, 100), (1, 1), 90, (200, 200))
    np.testing.assert_allclose(transform([(200, 100), (100, 200)], matrix), [(100, 0), (200, 100)], atol=1e-4)


@given(
    st.floats(-100, 700), st.floats(-100, 700), st.floats(0.1, 4), st.sampled_from(SIZES_WH),
    st.floats(0, 63), st.floats(0, 63),
)  # fmt: skip
def test_inverse_is_the_published_map_from_heatmaps_to_images(
    x: float, y: float, scale: float, output_wh: tuple[int, int], hx: float, hy: float
) -> None:
    """Section 3: x = (hx - Wh / 2) * (200 s / Wh) + cx, and the width's factor for y too."""
    center, scales = np.array((x, y), dtype=np.float32), np.array((scale, scale * 4 / 3), dtype=np.float32)
    matrix = affine(center, scales, 0, output_wh)
    factor = 200 * float(scales[0]) / output_wh[0]
    in_image = [
        ((hx - output_wh[0] / 2) * factor + float(center[0]), (hy - output_wh[1] / 2) * factor + float(center[1]))
    ]
    np.testing.assert_allclose(transform(in_image, matrix), [(hx, hy)], atol=2e-3)


def test_unbiased_lengths_are_between_the_middles_of_the_outer_pixels() -> None:
    """Section 11.1: UDP's box ends in the first and the last pixel, and mirrors onto itself without any shift."""
    center, scale, output_wh = np.array((310.5, 200.25)), np.array((0.9, 1.2)), (192, 256)
    matrix = affine(center, scale, 0, output_wh, unbiased=True)
    corners = center + np.array(((-1, -1), (0, 0), (1, 1))) * scale * 100
    np.testing.assert_allclose(transform(corners, matrix), [(0, 0), (95.5, 127.5), (191, 255)], atol=1e-9)
    turned = affine(center, scale, 30, output_wh, unbiased=True)
    np.testing.assert_allclose(transform(center[None], turned), [(95.5, 127.5)], atol=1e-9)
    biased = affine(center, scale, 30, output_wh)
    np.testing.assert_allclose(turned[:, :2], biased[:, :2], rtol=0.01)  # the same turn, lengths of 191 / 192
    np.testing.assert_allclose(turned[0, :2] / biased[0, :2], 191 / 192, rtol=1e-4)
    np.testing.assert_allclose(turned[1, :2] / biased[1, :2], 255 / 256, rtol=1e-4)


def test_transform_moves_each_point() -> None:
    matrix = np.array(((1, 2, 3), (4, 5, 6)))
    assert transform([(0, 0), (1, 0), (0, 1)], matrix).tolist() == [[3, 6], [4, 10], [5, 11]]


def test_crop_at_full_pixels_is_a_part_of_the_image_and_zero_outside() -> None:
    """Section 3: whatever lies outside the image is 0, not the border's colour; section 11.16: a box may."""
    image = np.maximum(noise_image(0, 40, 60), 1)
    matrix = np.array(((1.0, 0, 10), (0, 1.0, 5)))
    found = crop(image, matrix, (80, 60))
    assert found.dtype == np.uint8
    assert found.shape == (60, 80, 3)
    np.testing.assert_array_equal(found[5:45, 10:70], image)
    inside = np.zeros((60, 80), dtype=bool)
    inside[5:45, 10:70] = True
    assert not found[~inside].any()
    assert not crop(image, np.array(((1.0, 0, 500), (0, 1.0, 5))), (80, 60)).any()


def fixed_point_crop(image: NDArray[np.uint8], matrix: Array, output_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """What OpenCV 3 and 4 do: coordinates in 1/32 px, from sums in 1/1024 px; weights in 1/32768; zeros outside."""
    (m00, m01, m02), (m10, m11, m12) = cv2.invertAffineTransform(matrix)
    x, y = np.arange(output_wh[0]), np.arange(output_wh[1])[:, None]
    found = []
    for along_x, along_y, start in ((m00, m01, m02), (m10, m11, m12)):
        found.append((np.rint(along_x * x * 1024) + np.rint((along_y * y + start) * 1024) + 16).astype(np.int64) >> 5)
    (column, row), (fraction_x, fraction_y) = (v >> 5 for v in found), ((v & 31)[..., None] for v in found)
    padded = np.zeros((image.shape[0] + 2, image.shape[1] + 2, 3), dtype=np.int64)
    padded[1:-1, 1:-1] = image

    def at(dy: int, dx: int) -> NDArray[np.int64]:
        return padded[np.clip(row + dy + 1, 0, image.shape[0] + 1), np.clip(column + dx + 1, 0, image.shape[1] + 1)]

    total = 32 * (
        (32 - fraction_y) * ((32 - fraction_x) * at(0, 0) + fraction_x * at(0, 1))
        + fraction_y * ((32 - fraction_x) * at(1, 0) + fraction_x * at(1, 1))
    )
    return ((total + (1 << 14)) >> 15).astype(np.uint8)


@pytest.mark.parametrize("output_wh", SIZES_WH[:3])
def test_crops_are_of_the_papers_time_byte_for_byte(output_wh: tuple[int, int]) -> None:
    """Section 3: OpenCV 5 interpolates without rounding coordinates, which changes 14 % of all values."""
    image = noise_image(3)
    rng = np.random.default_rng(4)
    for rotation in (0.0, 17.0, -64.0):
        center, scale = rng.uniform(60, 200, 2), np.full(2, rng.uniform(0.3, 2))
        matrix = affine(center, scale, rotation, output_wh)
        np.testing.assert_array_equal(crop(image, matrix, output_wh), fixed_point_crop(image, matrix, output_wh))


def test_another_opencv_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    check_opencv()
    monkeypatch.setattr(cv2, "__version__", "5.0.0")
    with pytest.raises(RuntimeError, match=r"OpenCV 5\.0\.0 .* pip install 'opencv-python-headless>=4,<5'") as caught:
        crop(noise_image(0), np.eye(2, 3), (8, 8))
    assert "\n" not in str(caught.value)
