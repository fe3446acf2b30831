"""Contact sheets: what is drawn where, in which colour, and what is left out."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dpn.arrays import Pixels
from dpn.contact_sheet import CAPTION_PX, GAP_PX, HEADER_PX, _page_hw, _tile_hw, sheet
from dpn.data.augment import NONE, apply, unchanged
from dpn.data.people import Example, Examples
from dpn.drawing import COLORS_BGR
from dpn.protocols import Protocol, protocol
from dpn.skeletons import COCO_17, MPII_16, Skeleton
from dpn.verbs.sheet import Learnt, Sheet, show
from tests.dpn.data.made_people import noise_image, person

PLAIN = replace(protocol("dpn", "coco"), augmentation=NONE)
INPUT_HW = (256, 192)


class Few(Examples):
    """These people, in this order."""

    def __init__(self, *people: Example, skeleton: Skeleton = COCO_17) -> None:
        self.people = people
        self._skeleton = skeleton
        self.asked: list[int] = []

    @property
    def skeleton(self) -> Skeleton:
        return self._skeleton

    def __len__(self) -> int:
        return len(self.people)

    def example(self, index: int) -> Example:
        self.asked.append(index)
        return self.people[index]


def grey(visible: int, joints: NDArray[np.float64] | None = None, skeleton: Skeleton = COCO_17) -> Example:
    one = person(skeleton, visible=visible, image=np.full((300, 300, 3), 127, dtype=np.uint8))
    one = replace(one, scale=np.array((0.96, 1.28), dtype=np.float32), center=np.array((150, 150), dtype=np.float32))
    return one if joints is None else replace(one, joints=joints)


def tile(people: Few, kind: Protocol = PLAIN, input_hw: tuple[int, int] = INPUT_HW, number: int = 0) -> Pixels:
    """The picture of the tile of that number, without its frame, of a sheet in one row."""
    page = sheet(people, kind, input_hw, count=number + 1)
    width = (page.shape[1] - GAP_PX) // (number + 1) - GAP_PX
    left = GAP_PX + number * (width + GAP_PX)
    height = page.shape[0] - HEADER_PX - CAPTION_PX - GAP_PX
    return page[HEADER_PX + 1 : HEADER_PX + height - 1, left + 1 : left + width - 1]


def expected_crop(one: Example, kind: Protocol = PLAIN, input_hw: tuple[int, int] = INPUT_HW) -> Pixels:
    """Blue, green, red, without what the frame covers."""
    crop = apply(one, unchanged(one), COCO_17, replace(kind, color="bgr"), input_hw).crop
    return crop[1:-1, 1:-1]


def pixels_of(picture: Pixels, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=2).sum())


@pytest.mark.parametrize("name", ["dpn", "sbl"])
def test_nothing_is_drawn_of_joints_without_labels(name: str) -> None:
    """The crop is as it is, in its own colours whatever the order in which a network gets them."""
    one = person(visible=0, image=noise_image(0))
    kind = replace(protocol(name, "coco"), augmentation=NONE)
    np.testing.assert_array_equal(tile(Few(one), kind), expected_crop(one, kind))


def test_only_joints_with_labels_are_drawn_and_limbs_between_them() -> None:
    joints = np.full((17, 2), 150.0)
    joints[5], joints[7] = (120, 100), (120, 180)  # left shoulder and elbow
    one = grey(visible=6, joints=joints)
    one = replace(one, visible=np.eye(17)[5])
    without_elbow = tile(Few(one))
    with_elbow = tile(Few(replace(one, visible=one.visible + np.eye(17)[7])))
    midway = (140 - 150 + 128 - 1, 120 - 150 + 96 - 1)  # row and column between the two, in the picture
    assert tuple(without_elbow[midway]) == (127, 127, 127)
    assert np.abs(with_elbow[midway] - np.array(COLORS_BGR["left"])).max() < 40  # a thin line, smoothed
    assert pixels_of(with_elbow, COLORS_BGR["right"]) == pixels_of(with_elbow, COLORS_BGR["middle"]) == 0


def test_left_and_right_change_their_colours_when_mirrored() -> None:
    """Whoever is mirrored has a right arm where the left one was; the label follows what the picture shows."""
    one = replace(grey(visible=17), visible=np.eye(17)[9])  # the left wrist
    always = replace(PLAIN, augmentation=replace(NONE, flip_probability=1))
    plain, mirrored = tile(Few(one)), tile(Few(one), always)
    assert pixels_of(plain, COLORS_BGR["left"]) > 0 == pixels_of(plain, COLORS_BGR["right"])
    assert pixels_of(mirrored, COLORS_BGR["right"]) > 0 == pixels_of(mirrored, COLORS_BGR["left"])


@pytest.mark.parametrize("codec", ["quarter", "dark", "udp"])
@pytest.mark.parametrize("input_hw", [(256, 192), (64, 48)], ids=["full", "enlarged"])
def test_glows_are_on_the_targets(codec: str, input_hw: tuple[int, int]) -> None:
    """What differs from grey is around the joint: as near as the heatmap's grid allows, and within three sigma."""
    kind = replace(PLAIN, codec=codec)
    joint = (110.0, 190.0)
    one = replace(grey(visible=17, joints=np.full((17, 2), joint)), visible=np.eye(17)[0])
    picture = tile(Few(one), kind, input_hw).astype(float)
    sample = apply(one, unchanged(one), COCO_17, kind, input_hw)
    zoom = (picture.shape[1] + 2) / input_hw[1]
    expected = sample.joints[0] * zoom + (zoom - 1) / 2 - 1  # less the frame
    glow = np.abs(picture - 127).sum(axis=2)
    y, x = np.mgrid[: glow.shape[0], : glow.shape[1]]
    middle = np.array(((glow * x).sum(), (glow * y).sum())) / glow.sum()
    assert np.abs(middle - expected).max() < (2.1 if codec == "quarter" else 0.35) * zoom
    radius = np.hypot(x - expected[0], y - expected[1])[glow > 0]
    sigma_px = kind.sigma_at(input_hw) * 4 * zoom
    assert 2 * sigma_px < radius.max() < 3 * 2**0.5 * sigma_px + 6 * zoom


def test_a_sheet_has_rows_of_columns_and_repeats_people_in_later_epochs() -> None:
    people = Few(person(seed=0), person(seed=1), person(seed=2))
    page = sheet(people, protocol("dpn", "coco"), INPUT_HW, count=7, columns=4)
    assert page.shape == (HEADER_PX + 2 * (256 + CAPTION_PX + GAP_PX), GAP_PX + 4 * (192 + GAP_PX), 3)
    assert page.dtype == np.uint8
    assert sorted(people.asked[:3]) == [0, 1, 2]
    assert people.asked == (people.asked[:3] * 3)[:7]
    assert sheet(people, protocol("dpn", "coco"), INPUT_HW, count=2, columns=4).shape[1] == GAP_PX + 2 * (192 + GAP_PX)
    first, again = (tile(people, protocol("dpn", "coco"), number=number) for number in (0, 3))
    assert not np.array_equal(first, again)


def test_one_seed_repeats_and_two_differ() -> None:
    people = Few(*(person(seed=seed) for seed in range(9)))
    one, same, other = (sheet(people, protocol("dpn", "coco"), INPUT_HW, count=4, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_samples_are_those_of_training() -> None:
    from dpn.data.samples import TrainingSamples

    people = Few(*(person(visible=0, seed=seed, image=noise_image(seed)) for seed in range(5)))
    kind = protocol("hrnet", "coco")
    picture = tile(people, kind)
    training = TrainingSamples(people, kind, INPUT_HW, seed=0)
    np.testing.assert_array_equal(picture, training.sample(people.asked[0]).crop[1:-1, 1:-1, ::-1])


def test_mpii_has_sheets_too() -> None:
    people = Few(person(MPII_16), skeleton=MPII_16)
    assert sheet(people, protocol("dpn", "mpii"), (256, 256), count=1).shape[1] == 256 + 2 * GAP_PX


@pytest.mark.parametrize(("people", "count"), [(0, 4), (1, 0)])
def test_an_empty_sheet_is_refused(people: int, count: int) -> None:
    with pytest.raises(ValueError, match="at least 1 of each"):
        sheet(Few(*[person()] * people), PLAIN, INPUT_HW, count=count)


@pytest.mark.parametrize(("count", "columns"), [(10**9, 8), (3_000, 50), (200, 1), (200, 200)])
def test_a_sheet_that_no_picture_holds_is_refused(count: int, columns: int) -> None:
    """By the page's area, though crops alone are small; and by one side, though the area is small."""
    with pytest.raises(ValueError, match=f"{count} tiles of 64x48 are more than a picture holds; ask for fewer"):
        sheet(Few(person()), PLAIN, (64, 48), count=count, columns=columns)


@pytest.mark.parametrize("input_hw", [(256, 192), (64, 48), (40, 100)])
def test_a_sheet_is_as_large_as_was_foreseen(input_hw: tuple[int, int]) -> None:
    assert sheet(Few(person()), PLAIN, input_hw, count=5, columns=3).shape[:2] == _page_hw(_tile_hw(input_hw), 5, 3)


def test_the_verb_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "sheets" / "sheet.png"
    show(Learnt(data="synthetic:images=3"), output, Sheet(input="64x48", count=4, columns=2))
    assert cv2.imread(str(output)).shape[1] == 2 * (192 + GAP_PX) + GAP_PX
    assert [path.name for path in output.parent.iterdir()] == ["sheet.png"]
    assert capsys.readouterr().out == f"{output}: 4 samples\n"


def test_the_verb_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a PNG file, not 'sheet\.jpg'; give --output sheet\.png"):
        show(Learnt(data="synthetic"), tmp_path / "sheet.jpg")
    with pytest.raises(ValueError, match="0 or more, not -1"):
        show(Learnt(data="synthetic"), tmp_path / "sheet.png", Sheet(seed=-1))
    assert not list(tmp_path.iterdir())
