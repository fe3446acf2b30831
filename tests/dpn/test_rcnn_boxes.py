"""Boxes and keypoints of Mask R-CNN: hand-computed examples, inverses and brute force."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dpn.networks import rcnn_training
from dpn.networks.rcnn_boxes import (
    anchors,
    areas,
    at_least,
    clip,
    decode,
    encode,
    nms,
    overlaps,
    precise,
    pyramid_levels,
    roi_align,
    where,
)
from dpn.networks.rcnn_keypoints import decode_keypoints, keypoint_cells
from dpn.networks.rcnn_training import BACKGROUND, IGNORED, Regions, Target, keypoint_loss, match, sample

DOUBLE = torch.zeros((), dtype=torch.float64)
CODING = (10.0, 10.0, 5.0, 5.0)


def random_boxes(count: int, seed: int, side: float = 100, least: float = 1) -> Tensor:
    corners = side * torch.rand(count, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.cat([corners.amin(1), corners.amax(1) + least], dim=1)


# Anchors, coding, clipping


def test_anchors_of_a_hand_computed_example() -> None:
    """Side 32: heights 22.6, 32, 45.3 and widths the other way round, halves rounded, on cells of 16 pixels."""
    first = torch.tensor([[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]], dtype=torch.float64)
    found = anchors((2, 3), (32, 48), 32, like=DOUBLE)
    assert found.shape == (2 * 3 * 3, 4)
    for row in range(2):
        for column in range(3):
            shift = torch.tensor([column, row, column, row]) * 16
            place = 3 * (3 * row + column)
            assert torch.equal(found[place : place + 3], first + shift)


def test_cells_of_p6_are_the_image_over_the_map() -> None:
    found = anchors((13, 17), (800, 1088), 512, like=DOUBLE)
    assert torch.equal((found[-1] - found[2])[:2], torch.tensor([16 * 64, 12 * 61]))


def test_coding_of_a_hand_computed_example() -> None:
    reference = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    box = torch.tensor([[5.0, 0.0, 25.0, 20.0]])  # centre 10 to the right, twice as wide
    assert torch.allclose(encode(box, reference, CODING), torch.tensor([[10.0, 0.0, 5 * math.log(2), 0.0]]))


@given(st.integers(0, 10**6), st.sampled_from([CODING, (1.0, 1.0, 1.0, 1.0)]))
def test_decoding_inverts_encoding(seed: int, coding: tuple[float, float, float, float]) -> None:
    boxes, references = random_boxes(20, seed), random_boxes(20, seed + 1, least=3) + 3
    assert torch.allclose(decode(encode(boxes, references, coding), references, coding), boxes, atol=1e-9)


def test_growth_is_limited() -> None:
    reference = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    grown = decode(torch.tensor([[0.0, 0.0, 1e4, 1e4]]), reference, CODING)
    assert torch.allclose(grown, torch.tensor([[-492.0, -492.0, 508.0, 508.0]]))


def test_clipping_and_small_boxes() -> None:
    boxes = torch.tensor([[-5.0, 2.0, 30.0, 50.0], [3.0, 4.0, 5.0, 6.0], [40.0, 4.0, 50.0, 6.0]])
    clipped = clip(boxes, (20, 10))
    assert clipped.tolist() == [[0, 2, 10, 20], [3, 4, 5, 6], [10, 4, 10, 6]]
    assert at_least(clipped, 2).tolist() == [0, 1]
    assert areas(clipped).tolist() == [180, 4, 0]


def test_precision_is_never_below_single() -> None:
    assert precise(torch.zeros(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert precise(torch.zeros(1, dtype=torch.float64)).dtype == torch.float64


# Overlap and suppression


def test_overlaps_equal_counted_pixels() -> None:
    boxes = random_boxes(12, 3, side=18).round()
    pixels = [{(x, y) for x in range(int(a), int(c)) for y in range(int(b), int(d))} for a, b, c, d in boxes.tolist()]
    expected = torch.tensor([[len(p & q) / len(p | q) for q in pixels] for p in pixels], dtype=torch.float64)
    assert torch.allclose(overlaps(boxes, boxes), expected)


def greedy(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Non-maximum suppression as it is told: take the best that is left, drop what it overlaps."""
    left = sorted(range(len(boxes)), key=lambda i: -float(scores[i]))
    overlap, kept = overlaps(boxes, boxes), []
    while left:
        kept.append(left.pop(0))
        left = [i for i in left if overlap[kept[-1], i] <= threshold]
    return kept


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 60), st.sampled_from([0.1, 0.3, 0.5, 0.7]))
def test_suppression_equals_the_greedy_loop(seed: int, count: int, threshold: float) -> None:
    boxes = random_boxes(count, seed, side=40)
    scores = torch.randint(0, 20, (count,), generator=torch.Generator().manual_seed(seed)).double()  # with ties
    assert nms(boxes, scores, threshold).tolist() == greedy(boxes, scores, threshold)


def test_long_chains_are_resolved() -> None:
    """Each box overlaps only its neighbours, so every other one stays."""
    starts = torch.arange(51.0)
    boxes = torch.stack([starts, starts * 0, starts + 2, starts * 0 + 1], dim=1)
    assert nms(boxes, -starts, 0.3).tolist() == list(range(0, 51, 2))


def test_an_overlap_at_the_threshold_is_kept() -> None:
    boxes = torch.tensor([[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 2.0, 1.0]])
    assert nms(boxes, torch.tensor([0.5, 0.9]), 0.5).tolist() == [1, 0]
    assert nms(boxes, torch.tensor([0.5, 0.9]), 0.49).tolist() == [1]


def test_on_the_meta_device_everything_is_selected() -> None:
    boxes = torch.empty(7, 4, device="meta")
    assert nms(boxes, boxes[:, 0], 0.5).shape == where(boxes[:, 0] > 0).shape == at_least(boxes, 1).shape == (7,)
    positions, logits = decode_keypoints(torch.empty(7, 17, 56, 56, device="meta"), boxes)
    assert (positions.shape, logits.shape) == ((7, 17, 2), (7, 17))


# RoIAlign


def bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """Channels (C,) of (C, H, W) between four cells."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros_like(image[:, 0, 0])
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    total = torch.zeros_like(image[:, 0, 0])
    for row in range(height):
        for column in range(width):
            total += image[:, row, column] * max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
    return total


def aligned(image: Tensor, box: list[float], stride: int, size: int) -> Tensor:
    """One region of one map, sample by sample: (C, size, size)."""
    left, top, right, bottom = (side / stride for side in box)
    width, height = max(right - left, 1), max(bottom - top, 1)
    out = torch.zeros(image.shape[0], size, size, dtype=image.dtype)
    for i in range(size):
        for j in range(size):
            for a in (0.25, 0.75):
                for b in (0.25, 0.75):
                    out[:, i, j] += bilinear(image, top + (i + a) * height / size, left + (j + b) * width / size) / 4
    return out


def test_roi_align_equals_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    strides = (4, 8)
    maps = [torch.rand(2, 3, 32 // s, 40 // s, dtype=torch.float64, generator=generator) for s in strides]
    boxes = torch.cat(
        [
            random_boxes(12, 5, side=30),
            torch.tensor([[-9.0, -9.0, 60.0, 60.0], [39.5, 31.5, 40, 32], [5, 5, 5, 5], [0, 0, 40, 32]]),  # at borders
        ]
    )
    image, level = torch.arange(16) % 2, torch.arange(16) // 2 % 2
    found = roi_align(maps, strides, boxes, (image, level), 3)
    for n, box in enumerate(boxes.tolist()):
        expected = aligned(maps[level[n]][image[n]], box, strides[level[n]], 3)
        assert torch.allclose(found[n], expected, atol=1e-12), (n, box)


def test_roi_align_of_a_slope_is_its_value_at_the_bins_centres() -> None:
    columns = torch.arange(20.0, dtype=torch.float64).expand(1, 1, 20, 20)
    found = roi_align([columns], [1], torch.tensor([[2.0, 3.0, 16.0, 10.0]]).double(), (*torch.zeros(2, 1).long(),), 7)
    assert torch.allclose(found[0, 0], (2 + 2 * torch.arange(7.0) + 1).double().expand(7, 7))


def test_gradient_of_roi_align() -> None:
    maps = [torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True), torch.rand(1, 2, 2, 3).double()]
    maps[1].requires_grad_()
    boxes = torch.tensor([[1.0, 2.0, 9.0, 14.0], [0.0, 0.0, 20.0, 16.0]], dtype=torch.float64)
    places = torch.tensor([0, 0]), torch.tensor([0, 1])
    assert torch.autograd.gradcheck(lambda *m: roi_align(m, (4, 8), boxes, places, 2), tuple(maps))


def test_no_regions_at_all() -> None:
    none = torch.zeros(0, dtype=torch.long)
    assert roi_align([torch.rand(1, 3, 4, 4)], [4], torch.zeros(0, 4), (none, none), 7).shape == (0, 3, 7, 7)


def test_levels_of_regions() -> None:
    """224 pixels belong to P4, each halving one level finer, and the ends take the rest."""
    sides = [1.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 5000.0]
    boxes = torch.tensor([[3.0, 5.0, 3 + side, 5 + side] for side in sides])
    assert pyramid_levels(boxes, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


# Keypoints


def test_cells_of_keypoints() -> None:
    boxes = torch.tensor([[10.0, 20.0, 18.0, 24.0]])  # cells of 2 x 1 pixels
    points = [[10, 20, 1], [15.9, 23.5, 2], [18, 24, 1], [11, 21, 0], [9.9, 21, 1], [18.1, 21, 1]]
    cells, known = keypoint_cells(torch.tensor([points]), boxes, 4)
    assert cells.tolist() == [[0, 3 * 4 + 2, 15, 0, 0, 0]]
    assert known.tolist() == [[True, True, True, False, False, False]]


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_decoding_finds_the_cell_of_a_peak(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    boxes = random_boxes(3, seed, least=14) * torch.tensor([2, 1, 2, 1])  # so that heatmaps are enlarged, not shrunk
    points = boxes[:, None, :2] + torch.rand(3, 5, 2, generator=generator) * (boxes[:, None, 2:] - boxes[:, None, :2])
    cells, known = keypoint_cells(torch.cat([points, torch.ones(3, 5, 1)], dim=2), boxes, 14)
    assert bool(known.all())
    maps = torch.nn.functional.one_hot(cells, 14 * 14).double().reshape(3, 5, 14, 14)
    found, logits = decode_keypoints(maps, boxes)
    reach = (boxes[:, 2:] - boxes[:, :2])[:, None] / 14 + 1  # the cell's size, and a pixel of the enlargement
    assert bool(((found - points).abs() <= reach).all())
    assert bool((logits > 0.4).all())


# Training targets


def test_matching_of_a_hand_computed_example() -> None:
    overlap = torch.tensor([[0.8, 0.2, 0.5, 0.1, 0.6, 0.0], [0.1, 0.25, 0.4, 0.0, 0.65, 0.0], [0.0, 0, 0, 0, 0, 0]])
    assert match(overlap, 0.3, 0.7).tolist() == [0, BACKGROUND, IGNORED, BACKGROUND, IGNORED, BACKGROUND]
    kept = match(overlap, 0.3, 0.7, keep_best=True)  # column 4 is the best of person 1; person 2 meets no box
    assert kept.tolist() == [0, BACKGROUND, IGNORED, BACKGROUND, 1, BACKGROUND]


def test_an_image_without_people_is_background() -> None:
    assert match(torch.zeros(0, 3), 0.3, 0.7, keep_best=True).tolist() == [BACKGROUND] * 3


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 30), st.integers(0, 30))
def test_samples_are_drawn_without_repetition_up_to_their_share(seed: int, people: int, others: int) -> None:
    torch.manual_seed(seed)
    matched = torch.cat([torch.zeros(people), torch.full((others,), BACKGROUND), torch.full((5,), IGNORED)]).long()
    positive, negative = sample(matched, 16, 0.25)
    assert (len(positive), len(negative)) == (min(people, 4), min(others, 16 - min(people, 4)))
    assert len({*positive.tolist(), *negative.tolist()}) == len(positive) + len(negative)
    assert bool((matched[positive] >= 0).all())
    assert bool((matched[negative] == BACKGROUND).all())


def test_keypoint_loss_is_the_mean_logarithm_over_labelled_joints() -> None:
    target = Target(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.tensor([[[1.5, 2.5, 1.0], [9, 9, 1], [1, 1, 0]]]))
    regions = Regions(torch.tensor([[0.0, 0.0, 4.0, 4.0], [1.0, 0.0, 5.0, 4.0]]), torch.tensor([0, BACKGROUND]))
    maps = torch.randn(1, 3, 4, 4)
    expected = -maps[0, 0].flatten().log_softmax(0)[2 * 4 + 1]
    assert torch.allclose(keypoint_loss(maps, [regions], [target])["loss_keypoint"], expected)
    unlabelled = Target(target.boxes, target.keypoints * torch.tensor([1, 1, 0]))
    assert keypoint_loss(maps, [regions], [unlabelled])["loss_keypoint"] == 0


def test_perfect_boxes_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rcnn_training, "REGIONS_PER_IMAGE", 8)
    target = Target(random_boxes(2, 1), torch.zeros(2, 17, 3).double())
    regions = rcnn_training.training_regions(random_boxes(30, 2), target)
    people = regions.person >= 0
    assert 1 <= int(people.sum()) <= 2
    deltas = torch.zeros(len(people), 4, dtype=torch.float64)
    deltas[people] = encode(target.boxes[regions.person[people]], regions.boxes[people], CODING)
    logits = torch.stack([20.0 - 40 * people, -20.0 + 40 * people], dim=1)
    perfect = rcnn_training.box_losses(logits, deltas, [regions], [target], CODING)
    assert all(float(loss) < 1e-12 for loss in perfect.values())
    shifted = rcnn_training.box_losses(logits, deltas + 1, [regions], [target], CODING)  # 4 x (1 - beta / 2) each
    expected = int(people.sum()) * 4 * (1 - 1 / 18) / len(people)
    assert float(shifted["loss_box_reg"]) == pytest.approx(expected)
    assert float(rcnn_training.box_losses(-logits, deltas, [regions], [target], CODING)["loss_classifier"]) > 30
