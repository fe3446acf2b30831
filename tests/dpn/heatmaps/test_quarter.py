"""Targets, decoding, mirror images and loss of the published protocol, against its formulas and its known traps."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dpn.data.crops import affine, box_to_center_scale, transform
from dpn.heatmaps import Codec, decode, encode, flip_average, flip_back, joints_mse, to_image
from dpn.protocols import PROTOCOLS, protocol
from dpn.skeletons import COCO_17, MPII_16, Skeleton
from tests.dpn.devices import DEVICES
from tests.dpn.heatmaps.formulas import QUARTER, decoded, smooth_maps, target
from tests.dpn.samples import COCO, needs_samples

PAIRS = COCO_17.flip_pairs
LARGE = Codec(name="quarter", input_hw=(384, 288), sigma=3)
ROWS, COLUMNS = QUARTER.heatmap_hw


def joint_at(column: int, row: int, codec: Codec = QUARTER) -> tuple[Tensor, Tensor]:
    """Target and weight of one visible joint that is rounded to this place of the heatmap."""
    places = [place - 0.5 if place < 0 else place for place in (column, row)]  # half a pixel is added, then truncated
    targets, weights = encode(torch.tensor([places], dtype=torch.float64) * codec.stride, torch.ones(1), codec)
    return targets[0], weights[0]


def map_with(values: dict[tuple[int, int], float], codec: Codec = QUARTER) -> Tensor:
    """A single map, zero but for these values, by column and row."""
    heatmaps = torch.zeros(1, 1, *codec.heatmap_hw)
    for (x, y), value in values.items():
        heatmaps[0, 0, y, x] = value
    return heatmaps


def decoded_at(heatmaps: Tensor, codec: Codec = QUARTER) -> tuple[float, float]:
    coordinates, _ = decode(heatmaps, codec)
    return float(coordinates[0, 0, 0]), float(coordinates[0, 0, 1])


# Targets


def test_a_step_sends_no_numbers_to_the_device_but_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would make it wait for all that the GPU has to do."""
    first = encode(torch.rand(3, 2), torch.ones(3), LARGE)
    monkeypatch.delattr(torch, "tensor")
    again = encode(torch.rand(3, 2), torch.ones(3), LARGE)
    assert [part.shape for part in again] == [part.shape for part in first]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "codec", [QUARTER, LARGE, replace(QUARTER, input_hw=(256, 256))], ids=lambda c: str(c.input_hw)
)
def test_targets_and_weights_follow_the_formula(codec: Codec, device: str) -> None:
    rng = np.random.default_rng(3)
    height, width = codec.input_hw
    joints = rng.uniform((-60, -60), (width + 60, height + 60), (4, 10, 2))
    joints[0] = np.round(joints[0])  # halves, where rounding decides, occur at whole pixels
    visible = (rng.random((4, 10)) < 0.8).astype(np.float64)
    targets, weights = encode(torch.tensor(joints, device=device), torch.tensor(visible, device=device), codec)
    assert targets.device.type == weights.device.type == device
    assert targets.dtype == weights.dtype == torch.float32
    for person, joint in itertools.product(range(4), range(10)):
        expected, weight = target(joints[person, joint], visible[person, joint], codec)
        np.testing.assert_allclose(targets[person, joint].cpu().numpy(), expected, atol=1e-6, rtol=0)
        assert float(weights[person, joint]) == weight


@pytest.mark.parametrize(
    ("x", "column"), [(-5.9, 0), (-6.1, -1), (1.9, 0), (2, 1), (5.9, 1), (6, 2), (-2, 0), (-1.9, 0)]
)
def test_positions_are_rounded_by_truncation_towards_zero(x: float, column: int) -> None:
    """Trap of section 5: floor would put x = -5.9 into column -1."""
    targets, _ = encode(torch.tensor([[x, 80.0]], dtype=torch.float64), torch.ones(1), QUARTER)
    expected, _ = joint_at(column, 20)
    assert torch.equal(targets[0], expected)


@pytest.mark.parametrize("codec", [QUARTER, LARGE], ids=["sigma 2", "sigma 3"])
@pytest.mark.parametrize("axis", [0, 1])
def test_limits_differ_at_both_ends_of_an_axis(codec: Codec, axis: int) -> None:
    """Trap of section 5: at sigma 2 the map is empty and weighs 1 at -7, while at W + 5 it is not empty."""
    reach, size = int(3 * codec.sigma), codec.heatmap_hw[1 - axis]

    def at(place: int) -> tuple[Tensor, Tensor]:
        return joint_at(*((place, 20) if axis == 0 else (20, place)), codec)

    for place, weight, empty in (
        (-reach - 2, 0, True),
        (-reach - 1, 1, True),
        (-reach, 1, False),
        (size + reach - 1, 1, False),
        (size + reach, 0, True),
    ):
        heatmap, found = at(place)
        assert (float(found), not heatmap.any()) == (weight, empty), place


def test_a_target_is_a_truncated_square_with_a_peak_of_exactly_one() -> None:
    heatmap, _ = joint_at(20, 30)
    assert float(heatmap[30, 20]) == 1
    assert float(heatmap[36, 26]) == pytest.approx(np.exp(-9), rel=1e-6)  # a disc of three sigma would not reach
    assert int((heatmap > 0).sum()) == 13 * 13
    larger, _ = joint_at(20, 30, LARGE)
    assert int((larger > 0).sum()) == 19 * 19


def test_unlabelled_joints_have_empty_maps_wherever_they_are() -> None:
    joints = torch.tensor([[[40.0, 40.0], [torch.nan, 3.0], [1e300, -1e300], [40.0, 40.0]]], dtype=torch.float64)
    targets, weights = encode(joints, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), QUARTER)
    assert weights.tolist() == [[0, 0, 0, 1]]
    assert not targets[:, :3].any()
    assert targets[0, 3].any()
    targets, weights = encode(joints, torch.ones(1, 4), QUARTER)
    assert weights.tolist() == [[1, 0, 0, 1]]
    assert torch.isfinite(targets).all()


def test_every_visible_joint_weighs_one() -> None:
    """Trap of section 5: USE_DIFFERENT_JOINTS_WEIGHT is off in every published configuration."""
    _, weights = encode(torch.full((2, 17, 2), 90.0), torch.ones(2, 17), QUARTER)
    assert (weights == 1).all()


def test_one_person_alone_is_as_in_a_batch() -> None:
    joints = torch.rand(3, 17, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 190
    batched = encode(joints, torch.ones(3, 17), QUARTER)
    for person in range(3):
        alone = encode(joints[person], torch.ones(17), QUARTER)
        assert torch.equal(alone[0], batched[0][person])
        assert torch.equal(alone[1], batched[1][person])


@pytest.mark.parametrize(
    "shapes", [((2, 17, 3), (2, 17)), ((2, 17, 2), (17,)), ((17, 2), (2, 17)), ((2, 17, 2), (2, 1))]
)
def test_joints_and_visibilities_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"pass \(B, K, 2\) and \(B, K\)"):
        encode(torch.zeros(shapes[0]), torch.ones(shapes[1]), QUARTER)


# Decoding


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("codec", [QUARTER, LARGE], ids=["256x192", "384x288"])
def test_decoding_follows_the_formula(codec: Codec, dtype: torch.dtype, device: str) -> None:
    """Smooth maps, and rough ones of few different values, in which maxima and neighbours are often equal."""
    smooth = torch.from_numpy(smooth_maps(5, codec, joints=12, noise=0.1))
    rough = torch.randint(-2, 4, (1, 4, *codec.heatmap_hw), generator=torch.Generator().manual_seed(2)) / 2
    negative = -smooth.abs()[:, :1] - 0.1
    heatmaps = torch.cat((smooth, rough, negative), dim=1).to(device, dtype)
    coordinates, scores = decode(heatmaps, codec)
    assert coordinates.dtype == scores.dtype == torch.float32
    assert coordinates.device.type == device
    for joint, one in enumerate(heatmaps[0].double().cpu().numpy()):
        *expected, score = decoded(one, codec)
        assert coordinates[0, joint].tolist() == pytest.approx(expected, abs=1e-4)
        assert float(scores[0, joint]) == pytest.approx(score, abs=1e-7)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_quarter_offset_stops_at_different_distances_from_both_borders(axis: int) -> None:
    """Trap of section 7: the second column gets none, the last but one does."""
    size = (COLUMNS, ROWS)[axis]

    def moved(place: int) -> float:
        def at(offset: int) -> tuple[int, int]:
            return (place + offset, 20) if axis == 0 else (20, place + offset)

        heatmaps = map_with({at(0): 1.0} | {at(side): 0.5 for side in (-1,) if place + side >= 0})
        return decoded_at(heatmaps)[axis] - place

    assert [moved(place) for place in (0, 1, 2, size - 2, size - 1)] == [0, 0, -0.25, -0.25, 0]


def test_the_quarter_offset_needs_both_axes_to_be_inside() -> None:
    """Trap of section 7: mmpose tests each axis on its own."""
    assert decoded_at(map_with({(1, 20): 1.0, (1, 21): 0.5})) == (1, 20)
    assert decoded_at(map_with({(20, ROWS - 1): 1.0, (21, ROWS - 1): 0.5})) == (20, ROWS - 1)


def test_equal_neighbours_leave_a_maximum_where_it_is() -> None:
    assert decoded_at(map_with({(10, 20): 1.0})) == (10, 20)
    assert decoded_at(map_with({(10, 20): 1.0, (9, 20): 0.5, (11, 20): 0.5, (10, 21): 0.1})) == (10, 20.25)
    tiny = float(np.nextafter(np.float32(0), np.float32(1)))
    assert decoded_at(map_with({(10, 20): 1.0, (9, 20): tiny})) == (9.75, 20)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_of_equal_maxima_the_first_in_reading_order_counts(dtype: torch.dtype, device: str) -> None:
    heatmaps = map_with({(40, 20): 1.0, (3, 21): 1.0, (41, 20): 1.0}).to(device, dtype)
    assert decoded_at(heatmaps) == (40.25, 20)
    assert decoded_at(torch.ones(1, 1, ROWS, COLUMNS, dtype=dtype, device=device)) == (0, 0)


@pytest.mark.parametrize("name", ["quarter", "dark", "udp"])
def test_without_a_positive_value_the_position_is_the_origin(name: str) -> None:
    codec = Codec(name=name, input_hw=(256, 192), sigma=2)  # type: ignore[arg-type]
    below = map_with({(10, 20): 0.5}) - 1
    broken = map_with({(10, 20): torch.nan})
    up_to_zero = map_with({(10, 20): 1.0}) - 1
    coordinates, scores = decode(torch.cat((below, torch.zeros_like(below), up_to_zero, broken), dim=1), codec)
    assert coordinates.tolist() == [[[0, 0]] * 4]
    assert scores[0, :3].tolist() == [-0.5, 0, 0]
    assert scores[0, 3].isnan()


def test_scores_are_maxima_as_they_are() -> None:
    """Section 7: not clipped at 1."""
    _, scores = decode(map_with({(10, 20): 1.5}), QUARTER)
    assert scores.tolist() == [[1.5]]


def test_layout_and_gradients_do_not_matter() -> None:
    heatmaps = torch.from_numpy(smooth_maps(1, QUARTER, joints=8, noise=0.2)).view(2, 4, ROWS, COLUMNS)
    expected = decode(heatmaps, QUARTER)
    kept = heatmaps.clone()
    for same in (
        heatmaps.contiguous(memory_format=torch.channels_last),
        heatmaps.transpose(2, 3).contiguous().transpose(2, 3),
        heatmaps.clone().requires_grad_(),
    ):
        found = decode(same, QUARTER)
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(heatmaps, kept)
    assert decode(heatmaps[:0], QUARTER)[0].shape == (0, 4, 2)


def test_heatmaps_of_another_input_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(256, 192\) at stride 4 needs \(B, K, 64, 48\)"):
        decode(torch.zeros(1, 17, 48, 64), QUARTER)


@settings(max_examples=60, deadline=None)
@given(st.floats(8, 180), st.floats(8, 240), st.floats(0.01, 100))
def test_decoding_undoes_encoding_up_to_rounding_whatever_the_height(x: float, y: float, height: float) -> None:
    targets, _ = encode(torch.tensor([[[x, y]]], dtype=torch.float64), torch.ones(1, 1), QUARTER)
    coordinates, scores = decode(targets * height, QUARTER)
    assert float(scores) == pytest.approx(height)
    assert (coordinates * 4 - torch.tensor([x, y])).abs().max() <= 2.0001


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_decoding_a_mirrored_map_mirrors_the_joint(seed: int) -> None:
    heatmaps = torch.from_numpy(smooth_maps(seed, QUARTER, joints=3, noise=0.05))
    coordinates, scores = decode(heatmaps, QUARTER)
    mirrored, same = decode(heatmaps.flip(-1), QUARTER)
    movable = (coordinates[..., 0] > 2) & (coordinates[..., 0] < COLUMNS - 3)
    assert torch.equal(scores, same)
    assert torch.equal(mirrored[movable][:, 0], COLUMNS - 1 - coordinates[movable][:, 0])
    assert torch.equal(mirrored[movable][:, 1], coordinates[movable][:, 1])


# Mirror images


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_flipping_back_mirrors_and_exchanges_left_and_right(skeleton: Skeleton, device: str) -> None:
    heatmaps = torch.rand(2, len(skeleton.joints), 6, 5, device=device)
    kept = heatmaps.clone()
    back = flip_back(heatmaps, skeleton.flip_pairs)
    for joint, name in enumerate(skeleton.joints):
        side, _, part = name.partition("_")
        other = {"left": "right_", "right": "left_"}.get(side)
        partner = skeleton.joints.index(other + part) if other else joint
        assert torch.equal(back[:, joint], heatmaps[:, partner].flip(-1))
    assert torch.equal(flip_back(back, skeleton.flip_pairs), heatmaps)
    assert torch.equal(heatmaps, kept)


@pytest.mark.parametrize("device", DEVICES)
def test_averaging_follows_the_formula_and_keeps_the_first_column(device: str) -> None:
    """Trap of section 7: column 0 is kept, not zeroed; and no column is read after it was written."""
    plain, flipped = torch.rand(2, 2, 17, 6, 5, device=device)
    kept = plain.clone(), flipped.clone()
    back = flip_back(flipped, PAIRS)
    average = flip_average(plain, flipped, PAIRS, shift=True)
    for column in range(5):
        expected = 0.5 * (plain[..., column] + back[..., max(column - 1, 0)])
        assert torch.equal(average[..., column], expected)
    assert torch.equal(flip_average(plain, flipped, PAIRS, shift=False), 0.5 * (plain + back))
    assert torch.equal(plain, kept[0])
    assert torch.equal(flipped, kept[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_averaged_in_single(dtype: torch.dtype) -> None:
    plain, flipped = torch.rand(2, 1, 17, 6, 5).to(dtype)
    average = flip_average(plain, flipped, PAIRS, shift=True)
    assert average.dtype == torch.float32
    assert torch.equal(average, flip_average(plain.float(), flipped.float(), PAIRS, shift=True))


def test_pairs_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"flip pair \(15, 16\) of 16 joints"):
        flip_back(torch.zeros(1, 16, 4, 4), PAIRS)
    with pytest.raises(ValueError, match="of one image"):
        flip_average(torch.zeros(2, 17, 4, 4), torch.zeros(1, 17, 4, 4), PAIRS, shift=True)


def mirrored_targets(joints: Tensor, visible: Tensor, codec: Codec) -> tuple[Tensor, Tensor]:
    """What a perfect network says of the mirrored crop, and which of its joints count."""
    order = list(range(joints.shape[1]))
    for left, right in PAIRS:
        order[left], order[right] = right, left
    mirrored = joints.clone()
    mirrored[..., 0] = codec.input_hw[1] - 1 - mirrored[..., 0]
    targets, weights = encode(mirrored[:, order], visible[:, order], codec)
    return targets, weights[:, order]


def flip_bias(joints: Tensor, visible: Tensor, codec: Codec, *, shift: bool) -> Tensor:
    """By how much a perfect network's mirrored heatmaps, brought back, lie to the right of its heatmaps, in pixels."""
    targets, weights = encode(joints, visible, codec)
    flipped, flipped_weights = mirrored_targets(joints, visible, codec)
    back = 2 * flip_average(torch.zeros_like(flipped), flipped, PAIRS, shift=shift)
    (plain, score), (other, other_score) = decode(targets, codec), decode(back, codec)
    counted = (weights > 0) & (flipped_weights > 0) & (score > 0) & (other_score > 0)
    assert torch.equal(plain[counted][:, 1], other[counted][:, 1])
    return (other - plain)[counted][:, 0]


def test_shifting_leaves_a_quarter_of_the_half_pixel_bias() -> None:
    """Trap of section 11.1, exactly: over all positions -0.75 heatmap pixels without the shift, +0.25 with it."""
    places = torch.arange(32, 64, 1 / 8, dtype=torch.float64) + 1 / 16
    joints = torch.stack((places, torch.full_like(places, 100.0)), dim=-1).view(-1, 1, 2).expand(-1, 17, 2)
    visible = torch.ones(joints.shape[:2])
    assert float(flip_bias(joints, visible, QUARTER, shift=False).double().mean()) == -0.75
    assert float(flip_bias(joints, visible, QUARTER, shift=True).double().mean()) == 0.25


@pytest.fixture(scope="module")
def sample_joints() -> tuple[Tensor, Tensor]:
    """Everyone in the COCO samples, in crop pixels of 256x192."""
    content = json.loads((COCO / "test_coco.json").read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    joints, visible = [], []
    for annotation in content["annotations"]:
        if annotation["iscrowd"] or max(annotation["keypoints"]) == 0 or annotation["area"] <= 0:
            continue
        x, y, w, h = annotation["bbox"]
        width, height = sizes[annotation["image_id"]]
        left, top = max(0, x), max(0, y)
        right, bottom = min(width - 1, left + max(0, w - 1)), min(height - 1, top + max(0, h - 1))
        center, scale = box_to_center_scale((left, top, right - left, bottom - top), 0.75)
        keypoints = np.array(annotation["keypoints"], dtype=np.float64).reshape(17, 3)
        joints.append(transform(keypoints[:, :2], affine(center, scale, 0, (192, 256))))
        visible.append(keypoints[:, 2] > 0)
    return torch.tensor(np.array(joints)), torch.tensor(np.array(visible), dtype=torch.float64)


@needs_samples
def test_measured_flip_bias_and_rounding_error_of_the_samples(sample_joints: tuple[Tensor, Tensor]) -> None:
    """Traps of sections 11.1 and 11.2: -0.71 and +0.29 heatmap pixels; 1.60 crop pixels from rounded targets alone."""
    assert float(flip_bias(*sample_joints, QUARTER, shift=False).mean()) == pytest.approx(-0.71, abs=0.005)
    assert float(flip_bias(*sample_joints, QUARTER, shift=True).mean()) == pytest.approx(0.29, abs=0.005)
    targets, weights = encode(*sample_joints, QUARTER)
    coordinates, _ = decode(targets, QUARTER)
    error = (coordinates * 4 - sample_joints[0]).norm(dim=-1)[weights > 0]
    assert float(error.mean()) == pytest.approx(1.60, abs=0.005)


def test_rounded_targets_cost_what_a_square_of_four_pixels_says() -> None:
    """Trap of section 11.2, in theory: the mean distance from the middle of a square of side 4 is 1.5304."""
    generator = torch.Generator().manual_seed(0)
    joints = 40 + 100 * torch.rand(60, 17, 2, dtype=torch.float64, generator=generator)
    coordinates, _ = decode(encode(joints, torch.ones(60, 17), QUARTER)[0], QUARTER)
    error = (coordinates * 4 - joints).norm(dim=-1)
    half_diagonal = (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 3
    assert float(error.mean()) == pytest.approx(2 * half_diagonal, abs=4 * float(error.std()) / 1020**0.5)


# Back to the image


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "codec", [QUARTER, LARGE, replace(QUARTER, input_hw=(256, 256))], ids=lambda c: str(c.input_hw)
)
def test_to_image_undoes_the_crop(codec: Codec, device: str) -> None:
    rng = np.random.default_rng(8)
    height, width = codec.input_hw
    boxes = rng.uniform((-50, -50, 20, 20), (600, 400, 400, 500), (6, 4))
    centers, scales = box_to_center_scale(boxes, width / height)
    points = rng.uniform(0, 600, (6, 5, 2))
    crop_points = np.stack(
        [transform(p, affine(c, s, 0, (width, height))) for p, c, s in zip(points, centers, scales, strict=True)]
    )
    places = torch.tensor(crop_points / 4, device=device)
    found = to_image(places, torch.tensor(centers, device=device), torch.tensor(scales, device=device), codec)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.cpu().numpy(), points, atol=2e-3)  # of the crop's float32 points


def test_only_the_widths_scale_takes_part() -> None:
    """Trap of section 3: the height's scale is ignored."""
    places = torch.tensor([[[0.0, 0.0], [48.0, 64.0]]])
    found = to_image(places, torch.tensor([[100.0, 200.0]]), torch.tensor([[0.6, 99.0]]), QUARTER)
    np.testing.assert_allclose(found[0].numpy(), [[40, 120], [160, 280]], atol=1e-4)


# Loss


def loss_inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    heatmaps, targets = torch.rand(2, 2, 3, 5, 4, dtype=torch.float64, generator=generator)
    return heatmaps.to(dtype), targets, torch.tensor([[1.0, 0.0, 1.2], [0.0, 1.5, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize("device", DEVICES)
def test_the_loss_is_the_published_one_and_not_its_likenesses(device: str) -> None:
    """Trap of section 6: with a factor of a half, the weight squared, and invisible joints in the denominator."""
    heatmaps, targets, weights = (tensor.to(device) for tensor in loss_inputs())
    joint_losses = []
    for joint in range(3):
        difference = weights[:, joint, None, None] * (heatmaps[:, joint] - targets[:, joint])
        joint_losses.append(0.5 * (difference**2).mean())
    loss = joints_mse(heatmaps, targets, weights)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(float(sum(joint_losses)) / 3, rel=1e-12)
    squares = (heatmaps - targets) ** 2 * weights[..., None, None]
    mmposes = squares.mean()
    weight_linear = 0.5 * mmposes
    visible_only = 0.5 * (squares * weights[..., None, None])[weights > 0].mean()
    for wrong in (mmposes, weight_linear, visible_only):
        assert abs(float(loss) - float(wrong)) > 1e-3


def test_unweighted_joints_get_no_gradient() -> None:
    heatmaps, targets, weights = loss_inputs()
    (gradient,) = torch.autograd.grad(joints_mse(heatmaps.requires_grad_(), targets, weights), heatmaps)
    expected = (weights**2)[..., None, None] * (heatmaps.detach() - targets) / heatmaps.numel()
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_loss_of_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    heatmaps, targets, weights = (tensor.float() for tensor in loss_inputs())
    low = (heatmaps * 300).to(dtype)  # their squares overflow float16
    for wanted in (targets, targets.to(dtype)):
        assert torch.equal(joints_mse(low, wanted, weights), joints_mse(low.float(), wanted.float(), weights))


def test_what_would_broadcast_is_refused() -> None:
    """Otherwise (B, K, 1) weights of the published loaders would give a number, and a wrong one."""
    maps = torch.zeros(3, 3, 4, 4)
    for heatmaps, targets, weights in (
        (maps, maps, torch.ones(3, 3, 1)),
        (maps, maps[:1], torch.ones(3, 3)),
        (maps, maps, torch.ones(3)),
    ):
        with pytest.raises(ValueError, match=r"pass \(B, K, H, W\) twice"):
            joints_mse(heatmaps, targets, weights)


# Codecs


@pytest.mark.parametrize("name", PROTOCOLS)
def test_codecs_of_protocols(name: str) -> None:
    chosen = PROTOCOLS[name]
    codec = Codec.of_protocol(chosen, (384, 288))
    assert (codec.name, codec.input_hw, codec.stride, codec.sigma) == (chosen.codec, (384, 288), 4, 3)
    assert codec.heatmap_hw == (96, 72)
    assert Codec.of_protocol(protocol("dpn", "coco"), (256, 192)) == QUARTER


@pytest.mark.parametrize("change", [{"input_hw": (256, 190)}, {"input_hw": (0, 192)}, {"stride": 0}, {"sigma": 0.0}])
def test_impossible_codecs_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"multiple of the heatmaps' stride|are positive"):
        replace(QUARTER, **change)  # type: ignore[arg-type]


def test_a_side_of_one_pixel_has_no_distance_for_udp() -> None:
    with pytest.raises(ValueError, match="udp needs heatmaps of 2 x 2 pixels at least"):
        Codec(name="udp", input_hw=(256, 4), sigma=2)
    assert Codec(name="udp", input_hw=(8, 8), sigma=2).stride_xy == (7, 7)
    assert Codec(name="quarter", input_hw=(4, 4), sigma=2).heatmap_hw == (1, 1)
