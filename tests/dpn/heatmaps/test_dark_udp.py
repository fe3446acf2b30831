"""The codecs of DARK and UDP: targets, decoding, mirror images and the way back, against formulas in plain loops."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dpn.data.crops import affine, box_to_center_scale, transform
from dpn.heatmaps import Codec, decode, encode, flip_average, to_image
from dpn.heatmaps.newton import dark_step, udp_step
from dpn.skeletons import COCO_17
from tests.dpn.devices import DEVICES
from tests.dpn.heatmaps.formulas import (
    DARK,
    QUARTER,
    UDP,
    Floats,
    decoded,
    highest,
    smooth_maps,
    stride_of,
    target,
    udp_of_the_authors,
)

SIZES: list[tuple[tuple[int, int], float]] = [((256, 192), 2), ((384, 288), 3)]
CODECS = [replace(codec, input_hw=hw, sigma=sigma) for codec in (DARK, UDP) for hw, sigma in SIZES]
PAIRS = COCO_17.flip_pairs


def label(codec: Codec) -> str:
    return f"{codec.name}-{codec.input_hw[0]}"


def joints_inside(codec: Codec, people: int, margin: float) -> Tensor:
    """Crop pixels, at least so many heatmap pixels away from the border: (people, 17, 2)."""
    height, width = codec.input_hw
    edge = margin * codec.stride
    low, high = np.full(2, edge), np.array((width - 1 - edge, height - 1 - edge))
    return torch.tensor(np.random.default_rng(6).uniform(low, high, (people, 17, 2)))


# Targets


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_targets_and_weights_follow_the_formula(codec: Codec, device: str) -> None:
    rng = np.random.default_rng(7)
    height, width = codec.input_hw
    joints = rng.uniform((-60, -60), (width + 60, height + 60), (2, 12, 2))
    visible = (rng.random((2, 12)) < 0.8).astype(np.float64)
    targets, weights = encode(torch.tensor(joints, device=device), torch.tensor(visible, device=device), codec)
    assert targets.device.type == device
    for person, joint in itertools.product(range(2), range(12)):
        expected, weight = target(joints[person, joint], visible[person, joint], codec)
        np.testing.assert_allclose(targets[person, joint].cpu().numpy(), expected, atol=1e-6, rtol=0)
        assert float(weights[person, joint]) == weight


def test_darks_targets_fill_the_map_and_udps_a_square() -> None:
    joint, visible = torch.tensor([[81.3, 101.9]], dtype=torch.float64), torch.ones(1)
    darks, udps = encode(joint, visible, DARK)[0], encode(joint, visible, UDP)[0]
    assert int((udps > 0).sum()) == 13 * 13
    assert int((darks > 0).sum()) > 13 * 13
    assert float(darks.max()) < 1  # no pixel is in the middle


@pytest.mark.parametrize("codec", [DARK, UDP], ids=label)
def test_joints_outside_weigh_nothing(codec: Codec) -> None:
    joints = torch.tensor([[-40.0, 50.0], [50.0, -40.0], [300.0, 50.0], [50.0, 400.0], [torch.nan, 50.0], [50.0, 50.0]])
    targets, weights = encode(joints, torch.ones(6), codec)
    assert weights.tolist() == [0, 0, 0, 0, 0, 1]
    assert targets.flatten(1).any(dim=1).tolist() == [False] * 5 + [True]
    assert torch.isfinite(targets).all()


# Decoding


def check_decoding(maps: Floats, codec: Codec, device: str) -> Tensor:
    """Against the formula, all maps; returns the coordinates."""
    coordinates, scores = decode(torch.tensor(maps, device=device), codec)
    assert coordinates.dtype == scores.dtype == torch.float32
    assert coordinates.device.type == device
    for joint, one in enumerate(maps[0].astype(np.float64)):
        *expected, score = decoded(one, codec)
        assert coordinates[0, joint].tolist() == pytest.approx(expected, abs=1e-4), joint
        assert float(scores[0, joint]) == score
    return coordinates.cpu()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_decoding_follows_the_formula(codec: Codec, device: str) -> None:
    """At the borders too, where DARK takes no step and UDP continues the map's edge."""
    maps = smooth_maps(9, codec, joints=40, noise=0.02)
    rows, columns = codec.heatmap_hw
    places = ((0, 0), (1, 9), (2, 9), (9, 1), (columns - 1, 9), (columns - 2, 9), (columns - 3, 9), (9, rows - 2))
    for joint, (x, y) in enumerate(places):
        maps[0, joint] *= 0.5
        maps[0, joint, y, x] = 1.2
    found = check_decoding(maps, codec, device)
    steps = (found[0, : len(places)] - torch.tensor(places)).abs().amax(dim=-1) > 0
    if codec.name == "dark":
        assert steps.tolist() == [False, False, True, False, False, False, True, False]
    else:
        assert steps.all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("codec", "height", "bounded"),
    [(UDP, 0.00105, True), (UDP, 1.0, False), (UDP, 60.0, True), (DARK, 1.1e-10, True), (DARK, 60.0, False)],
)
def test_bounds_apply_to_the_scaled_map(codec: Codec, height: float, bounded: bool, device: str) -> None:
    """UDP bounds the map by 0.001 and 50, DARK by 1e-10, after its maximum was made what it was before the blur."""
    maps = smooth_maps(10, codec, joints=20, noise=0.0, height=height)
    found = check_decoding(maps, codec, device)
    free, _ = decode(torch.tensor(maps / height * 2), codec)
    assert bool(((found - free).abs() > 1e-3).any()) == bounded


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_maps_of_noise_decode_by_the_formula_too(codec: Codec, device: str) -> None:
    """Where the blurred map is negative or small beside its maximum, its scale comes from elsewhere in the map."""
    maps = np.random.default_rng(13).normal(0, 0.02, (1, 60, *codec.heatmap_hw)).astype(np.float32)
    coordinates, _ = decode(torch.tensor(maps, device=device), codec)
    peaks, _ = decode(torch.tensor(maps), QUARTER if codec.sigma == 2 else replace(codec, name="quarter"))
    compared = 0
    for joint, one in enumerate(maps[0].astype(np.float64)):
        expected = np.array(decoded(one, codec)[:2])
        if (
            np.abs(expected - peaks[0, joint].numpy()).max() < 5
        ):  # a longer step is that of a Hessian without an inverse
            np.testing.assert_allclose(coordinates[0, joint].cpu().numpy(), expected, atol=1e-4)
            compared += 1
    assert compared > 30


def test_udps_own_release_decodes_otherwise_near_the_border_alone() -> None:
    rows, columns = UDP.heatmap_hw
    inside, outside = [], []
    for one in smooth_maps(3, UDP, joints=400, noise=0.0)[0].astype(np.float64):
        x, y, _ = highest(one)
        ours = np.array(decoded(one, UDP)[:2])
        away = float(np.abs(ours - (x, y) - udp_of_the_authors(one, x, y)).max())
        (inside if 6 <= x < columns - 6 and 6 <= y < rows - 6 else outside).append(away)
    assert max(inside) < 0.01
    assert np.quantile(outside, 0.95) > 0.5


def test_flat_and_overflowing_maps_give_no_step() -> None:
    """The published code divides by zero there."""
    spike = torch.full((1, 1, 64, 48), -1.0)
    spike[0, 0, 30, 20], spike[0, 0, 30, 21] = 1, -0.5  # the blurred map has no positive value, and a slope
    overflown = torch.zeros(1, 1, 64, 48)
    overflown[0, 0, 30, 20] = torch.inf
    maps = torch.cat((spike, overflown, torch.full((1, 1, 64, 48), 1.0)), dim=1)
    for codec in (DARK, UDP):
        coordinates, _ = decode(maps, codec)
        assert coordinates[0, :2].tolist() == [[20, 30], [20, 30]]
        assert torch.isfinite(coordinates).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("codec", [DARK, UDP], ids=label)
def test_half_precision_decodes_like_its_values(codec: Codec, dtype: torch.dtype) -> None:
    maps = torch.from_numpy(smooth_maps(11, codec, joints=20, noise=0.02)).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # which would blur in half precision
        low = decode(maps, codec)
    assert all(torch.equal(one, other) for one, other in zip(low, decode(maps.float(), codec), strict=True))


@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_a_gaussian_is_found_between_pixels(codec: Codec) -> None:
    """What the Newton step is for: the rounding error of 1.53 crop pixels (section 11.2) all but vanishes.

    DARK's targets fill the map, so that only the blur's cut remains; UDP's are cut themselves.
    """
    margin = {2: 12, 3: 18}[round(codec.sigma)]
    joints = joints_inside(codec, 8, margin)
    coordinates, _ = decode(encode(joints, torch.ones(8, 17), codec)[0], codec)
    error = (coordinates * torch.tensor(stride_of(codec)) - joints).norm(dim=-1)
    assert float(error.max()) < {"dark": 0.01, "udp": 0.1}[codec.name]


def test_steps_alone_follow_an_exact_parabola() -> None:
    """A map whose logarithm is a tilted parabola has its summit where the Newton step says, blur or not."""
    x, y = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="xy")
    dx, dy = x.double() - 20.3, y.double() - 30.2
    maps = torch.exp(-(dx**2 + 0.6 * dx * dy + 1.4 * dy**2) / 12)[None]
    for step in (dark_step, udp_step):
        found = step(maps, torch.tensor([[20, 30]]), maps.amax((1, 2)), 2)
        np.testing.assert_allclose(found.numpy(), [[0.3, 0.2]], atol=0.02)


def test_udps_epsilon_lets_a_ridge_be_climbed_sideways() -> None:
    """Along the ridge the Hessian is zero but for it, and the inverse would not exist."""
    ridge = torch.exp((torch.arange(48.0) - 20.3) ** 2 / -8).expand(1, 64, 48)
    found = udp_step(ridge, torch.tensor([[20, 30]]), ridge.amax((1, 2)), 2)
    np.testing.assert_allclose(found.numpy(), [[0.3, 0]], atol=0.01)


# Mirror images


def flip_difference(codec: Codec, *, shift: bool) -> Tensor:
    """Mirrored heatmaps of a perfect network, brought back, against its heatmaps: x, in heatmap pixels."""
    joints = joints_inside(codec, 4, 12)
    order = list(range(17))
    for left, right in PAIRS:
        order[left], order[right] = right, left
    mirrored = joints[:, order].clone()
    mirrored[..., 0] = codec.input_hw[1] - 1 - mirrored[..., 0]
    visible = torch.ones(4, 17)
    plain, flipped = encode(joints, visible, codec)[0], encode(mirrored, visible, codec)[0]
    back = 2 * flip_average(torch.zeros_like(flipped), flipped, PAIRS, shift=shift)
    return (decode(back, codec)[0] - decode(plain, codec)[0])[..., 0]


def test_udp_mirrors_exactly_and_must_not_be_shifted() -> None:
    """Trap of section 11.1: shifting a UDP network's heatmaps, or not shifting another's, is a pixel or most of one."""
    assert float(flip_difference(UDP, shift=False).abs().max()) < 1e-3
    assert float((flip_difference(UDP, shift=True) - 1).abs().max()) < 1e-3
    assert float((flip_difference(DARK, shift=False) + 0.75).abs().max()) < 5e-3
    assert float((flip_difference(DARK, shift=True) - 0.25).abs().max()) < 5e-3


# Back to the image


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("codec", CODECS, ids=label)
def test_to_image_undoes_the_crop(codec: Codec, device: str) -> None:
    rng = np.random.default_rng(12)
    height, width = codec.input_hw
    centers, scales = box_to_center_scale(rng.uniform((-50, -50, 20, 20), (600, 400, 400, 500), (6, 4)), width / height)
    points = rng.uniform(0, 600, (6, 5, 2))
    unbiased = codec.name == "udp"
    crop_points = [
        transform(p, affine(c, s, 0, (width, height), unbiased=unbiased))
        for p, c, s in zip(points, centers, scales, strict=True)
    ]
    places = torch.tensor(np.stack(crop_points) / stride_of(codec), device=device)
    found = to_image(places, torch.tensor(centers), torch.tensor(scales), codec)
    assert found.device.type == device
    np.testing.assert_allclose(found.cpu().numpy(), points, atol=1e-4 if unbiased else 2e-3)


def test_grids_differ_by_what_the_codecs_say() -> None:
    """The corners of the map: UDP's are those of the crop, the others' last column is 3 crop pixels short of it."""
    assert [codec.stride_xy for codec in (QUARTER, DARK, UDP)] == [(4, 4), (4, 4), (191 / 47, 255 / 63)]
    center, scale = torch.tensor([[96.0, 128.0]]), torch.tensor([[0.96, 1.28]])  # the crop itself as the image
    corners = torch.tensor([[[0.0, 0.0], [47.0, 63.0]]])
    assert to_image(corners, center, scale, QUARTER)[0].numpy() == pytest.approx(
        np.array([[0, 0], [188, 252]]), abs=1e-4
    )
    assert to_image(corners, center, scale, UDP)[0].numpy() == pytest.approx(np.array([[0, 0], [192, 256]]), abs=1e-4)
