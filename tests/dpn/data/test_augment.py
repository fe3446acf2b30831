"""The draws of augmentation against the published distributions, and the crop that they lead to.

Seeds are fixed, so a test either always passes or never. Its bounds are six standard errors wide: a right
implementation with another stream of numbers would still pass, all but certainly.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dpn.data.augment import LOWER_PARTS, NONE, Change, apply, draw, half_body, unchanged
from dpn.data.crops import affine, crop, transform
from dpn.data.people import Example
from dpn.protocols import Augmentation, protocol
from dpn.skeletons import COCO_17, MPII_16, Skeleton
from tests.dpn.data.made_people import noise_image, person

N = 20_000
DPN = protocol("dpn", "coco")
INPUT_HW = (256, 192)
ASPECT = 0.75


def changes(example: Example, augmentation: Augmentation, count: int = N, seed: int = 0) -> list[Change]:
    rng = np.random.default_rng(seed)
    return [draw(rng, augmentation, example, COCO_17, ASPECT) for _ in range(count)]


@pytest.fixture(scope="module")
def whole() -> list[Change]:
    """Changes of a person with too few joints for half a body, in float64 so that factors are seen exactly."""
    few = person(visible=8)
    few = replace(few, center=few.center.astype(np.float64), scale=np.array((1.5, 2.0)))
    return changes(few, DPN.augmentation)


@pytest.fixture(scope="module")
def halved() -> list[Change]:
    return changes(person(), replace(DPN.augmentation, scale=0))


def assert_share(happened: NDArray[np.bool_], probability: float) -> None:
    error = math.sqrt(probability * (1 - probability) / len(happened))
    assert abs(happened.mean() - probability) < 6 * error


def normal_below(value: float) -> float:
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))


def test_scale_is_a_clipped_gaussian_and_not_uniform(whole: list[Change]) -> None:
    """Section 4.2: 32 % of all factors sit on the two ends."""
    factors = np.array([change.scale / (1.5, 2.0) for change in whole])
    np.testing.assert_allclose(factors[:, 0], factors[:, 1])
    factor = factors[:, 0]
    assert factor.min() == pytest.approx(0.7)
    assert factor.max() == pytest.approx(1.3)
    assert_share(factor < 0.7 + 1e-9, normal_below(-1))
    assert_share(factor > 1.3 - 1e-9, normal_below(-1))
    for limit in (0.8, 0.95, 1.0, 1.1, 1.25):
        assert_share(factor < limit, normal_below((limit - 1) / 0.3))


def test_rotation_is_gated_and_clipped_at_twice_its_sigma(whole: list[Change]) -> None:
    """Section 4.3: with probability 0.6 a Gaussian; 40 degrees are its sigma, not its limit."""
    rotation = np.array([change.rotation_deg for change in whole])
    assert_share(rotation != 0, 0.6)
    rotated = rotation[rotation != 0]
    assert rotated.min() == -80
    assert rotated.max() == 80
    assert_share(rotated == 80, normal_below(-2))
    assert_share(rotated == -80, normal_below(-2))
    for limit in (-60, -40, -10, 10, 40, 60):
        assert_share(rotated < limit, normal_below(limit / 40))


def test_half_are_mirrored_and_the_draws_are_independent(whole: list[Change]) -> None:
    """Section 4.4."""
    flipped = np.array([change.flipped for change in whole])
    rotated = np.array([change.rotation_deg != 0 for change in whole])
    larger = np.array([change.scale[0] > 1.5 for change in whole])
    assert_share(flipped, 0.5)
    assert_share(flipped & rotated & larger, 0.5 * 0.6 * 0.5)
    assert_share(flipped[1:] & flipped[:-1], 0.25)


def test_without_half_a_body_the_centre_stays(whole: list[Change]) -> None:
    assert {tuple(change.center) for change in whole} == {tuple(person(visible=8).center)}


def half_taken(found: list[Change]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the upper and whether the lower body was taken."""
    one = person()
    upper, lower = (tuple(half_body(one, COCO_17, ASPECT, coin, 1.5)[0]) for coin in (0.0, 1.0))
    assert upper != lower
    centers = [tuple(change.center) for change in found]
    return np.array([center == upper for center in centers]), np.array([center == lower for center in centers])


def test_the_coin_for_the_upper_body_is_a_normal_variate(halved: list[Change]) -> None:
    """Sections 4.1 and 11.7: three of ten, and the upper body in 0.691 of them, as P(normal < 0.5), not in half."""
    upper, lower = half_taken(halved)
    assert_share(upper | lower, 0.3)
    assert_share(upper[upper | lower], normal_below(0.5))


def test_half_a_body_needs_strictly_more_than_eight_joints() -> None:
    """Section 4.1: eight visible joints are too few, nine are enough."""
    scaleless = replace(DPN.augmentation, scale=0, half_body_probability=1)
    for visible, moved in ((8, False), (9, True)):
        one = person(visible=visible)
        assert any(change.center[0] != one.center[0] for change in changes(one, scaleless, 50)) == moved
        assert all(change.center[0] != one.center[0] for change in changes(one, scaleless, 50)) == moved


def test_half_a_body_comes_before_the_factor_on_the_scale() -> None:
    """Section 4: the factor multiplies the half body's scale."""
    one = person()
    scales = {tuple(half_body(one, COCO_17, ASPECT, coin, 1.5)[1]) for coin in (0.0, 1.0)}
    always = replace(DPN.augmentation, half_body_probability=1)
    plain = [tuple(change.scale) for change in changes(one, replace(always, scale=0), 100)]
    scaled = [change.scale for change in changes(one, always, 100)]
    assert set(plain) == scales
    factors = np.array(scaled) / np.array(plain)
    np.testing.assert_allclose(factors[:, 0], factors[:, 1], rtol=1e-6)
    assert factors.min() == pytest.approx(0.7)
    assert factors.max() == pytest.approx(1.3)


def test_half_a_bodys_box_is_the_published_one() -> None:
    """Section 4.1: mean of the joints as centre, extents made the input's aspect, a padding of 1.5."""
    one = person(seed=3)
    for coin, chosen in ((0.49, one.joints[:11]), (0.51, one.joints[11:])):
        center, scale = half_body(one, COCO_17, ASPECT, coin, 1.5)
        width, height = chosen.max(axis=0) - chosen.min(axis=0)
        width, height = max(width, ASPECT * height), max(height, width / ASPECT)
        np.testing.assert_allclose(center, chosen.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(scale, np.array((width, height)) / 200 * 1.5, rtol=1e-6)
        assert center.dtype == scale.dtype == np.float32


@pytest.mark.parametrize(("skeleton", "lower"), [(COCO_17, range(11, 17)), (MPII_16, range(7))], ids=["coco", "mpii"])
def test_lower_bodies_are_the_published_ones(skeleton: Skeleton, lower: range) -> None:
    """Sections 2 and 4.1, by number."""
    assert [i for i, name in enumerate(skeleton.joints) if name.split("_")[-1] in LOWER_PARTS] == list(lower)


@pytest.mark.parametrize(
    ("uppers", "lowers", "coin", "taken"),
    [
        (3, 3, 0.0, "upper"), (3, 3, 1.0, "lower"), (2, 3, 0.0, "lower"), (3, 2, 1.0, "upper"), (2, 2, 1.0, "upper"),
        (1, 2, 0.0, None), (0, 2, 0.0, None),
    ],
)  # fmt: skip
def test_a_half_of_few_joints_gives_way(uppers: int, lowers: int, coin: float, taken: str | None) -> None:
    """Section 4.1: more than two joints make a half; fewer than two are none, and nothing changes."""
    one = person()
    seen = np.zeros(17)
    seen[:uppers] = seen[11 : 11 + lowers] = 1
    center, scale = half_body(replace(one, visible=seen), COCO_17, ASPECT, coin, 1.5)
    if taken is None:
        assert center is one.center
        assert scale is one.scale
    else:
        chosen = one.joints[:uppers] if taken == "upper" else one.joints[11 : 11 + lowers]
        np.testing.assert_allclose(center, chosen.mean(axis=0), rtol=1e-6)


def test_joints_in_one_place_make_no_box() -> None:
    one = person()
    center, scale = half_body(replace(one, joints=np.full((17, 2), 50.0)), COCO_17, ASPECT, 0, 1.5)
    assert center is one.center
    assert scale is one.scale


def test_one_part_does_not_change_what_the_others_draw() -> None:
    one = person()
    for seed in range(20):
        every, some = (
            draw(np.random.default_rng(seed), augmentation, one, COCO_17, ASPECT)
            for augmentation in (DPN.augmentation, replace(DPN.augmentation, scale=0, half_body_probability=0))
        )
        assert (every.rotation_deg, every.flipped) == (some.rotation_deg, some.flipped)


def test_switched_off_nothing_changes() -> None:
    one = person()
    for change in [*changes(one, NONE, 50), unchanged(one)]:
        np.testing.assert_array_equal(change.center, one.center, strict=True)
        np.testing.assert_array_equal(change.scale, one.scale, strict=True)
        assert (change.rotation_deg, change.flipped) == (0, False)


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_types_of_the_data_set_stay(skeleton: Skeleton) -> None:
    one = person(skeleton)
    always = replace(DPN.augmentation, half_body_probability=1)
    change = draw(np.random.default_rng(0), always, one, skeleton, 1)
    assert change.center.dtype == one.center.dtype
    assert change.scale.dtype == one.scale.dtype


def misses(change: Callable[[Example], Change], color: str, codec: str) -> NDArray[np.float64]:
    """In the crop, at each joint, how far the colours are from where that joint was in the image: (..., 2).

    The image tells x in blue and y in green; a mirrored sample's left wrist was the image's right one.
    """
    kind = replace(DPN, color=color, codec=codec)
    found = []
    for seed in range(40):
        one = person(seed=seed)
        changed = change(one)
        sample = apply(one, changed, COCO_17, kind, INPUT_HW)
        came_from = one.joints[list(COCO_17.mirrored)] if changed.flipped else one.joints
        blue = 2 if color == "rgb" else 0
        for (x, y), place in zip(sample.joints, came_from, strict=True):
            if 1 <= x <= INPUT_HW[1] - 2 and 1 <= y <= INPUT_HW[0] - 2:
                at = crop(sample.crop, np.array(((1.0, 0, -x), (0, 1.0, -y))), (1, 1))[0, 0]
                assert at[2 - blue] == 255
                found.append((at[blue] - place[0], at[1] - place[1]))
    assert len(found) > 300
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("codec", ["quarter", "udp"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("flipped", [False, True], ids=["plain", "mirrored"])
def test_joints_stay_on_their_pixels(flipped: bool, color: str, codec: str) -> None:
    """Sections 4.4, 4.5 and 11.6: through rotation, scale and mirroring, with left and right changing places.

    An error of one pixel, such as mirroring x to the image's width - x, would move the mean by 1.
    """

    def change(one: Example) -> Change:
        return Change(center=one.center, scale=one.scale * np.float32(0.8), rotation_deg=33, flipped=flipped)

    error = misses(change, color, codec)
    assert np.abs(error).max() < 1.5  # bytes and 1/32 px
    assert np.abs(error.mean(axis=0)).max() < 0.15


def test_the_rotations_sign_does_not_change_with_mirroring() -> None:
    """Section 4.4: the mirrored image is turned as the plain one would be."""
    one = person(image=noise_image(1))
    changed = Change(center=one.center, scale=one.scale, rotation_deg=25, flipped=True)
    sample = apply(one, changed, COCO_17, replace(DPN, color="bgr"), INPUT_HW)
    width = one.image.shape[1]
    center = np.array((width - 1 - one.center[0], one.center[1]))
    mirrored = np.ascontiguousarray(one.image[:, ::-1])
    np.testing.assert_array_equal(sample.crop, crop(mirrored, affine(center, one.scale, 25, (192, 256)), (192, 256)))
    np.testing.assert_allclose(sample.center, center)


@pytest.mark.parametrize(("codec", "shift"), [("quarter", 1), ("udp", 0)])
def test_mirroring_moves_the_crop_by_a_pixel_but_for_udp(codec: str, shift: int) -> None:
    """Section 11.1: the box's middle is W / 2, which mirrors to W / 2 - 1; UDP's is (W - 1) / 2."""
    width, height = 192 - 1 + shift, 256 - 1 + shift  # one pixel of the image for each of the crop
    one = person(image=noise_image(2, 400, 400))
    one = replace(one, center=np.array((200, 190)) - (1 - shift) / 2, scale=np.array((width, height)) / 200)
    plain, mirrored = (
        apply(one, Change(center=one.center, scale=one.scale, rotation_deg=0, flipped=flipped), COCO_17,
              replace(DPN, codec=codec), INPUT_HW).crop
        for flipped in (False, True)
    )  # fmt: skip
    np.testing.assert_array_equal(mirrored[:, shift:], plain[:, ::-1][:, : 192 - shift])


def test_joints_that_are_not_visible_are_zero_in_every_sample() -> None:
    one = person(visible=9)
    for flipped in (False, True):
        change = Change(center=one.center, scale=one.scale, rotation_deg=10, flipped=flipped)
        sample = apply(one, change, COCO_17, DPN, INPUT_HW)
        seen = one.visible[list(COCO_17.mirrored)] if flipped else one.visible
        np.testing.assert_array_equal(sample.visible, seen)
        assert not sample.joints[seen == 0].any()
        assert sample.joints[seen > 0].all()


def test_nothing_of_the_example_is_written_to() -> None:
    one = person(seed=5)
    for array in (one.image, one.joints, one.visible, one.center, one.scale):
        array.setflags(write=False)
    for seed in range(10):
        change = draw(np.random.default_rng(seed), DPN.augmentation, one, COCO_17, ASPECT)
        apply(one, change, COCO_17, DPN, INPUT_HW)


def test_an_unchanged_sample_is_the_box() -> None:
    one = person(seed=6)
    sample = apply(one, unchanged(one), COCO_17, replace(DPN, color="bgr"), INPUT_HW)
    matrix = affine(one.center, one.scale, 0, (192, 256))
    np.testing.assert_array_equal(sample.crop, crop(one.image, matrix, (192, 256)))
    np.testing.assert_array_equal(sample.joints, transform(one.joints, matrix))
