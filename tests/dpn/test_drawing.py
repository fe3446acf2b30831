"""Skeletons are where the joints are, left and right can be told apart by everybody, and doubtful joints stay out."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dpn.drawing import COLORS_BGR, Pen, draw_person, limb_side, side, write_png
from dpn.skeletons import COCO_17, MPII_16, Skeleton
from tests.dpn.dotted import joints_at


def person(skeleton: Skeleton = COCO_17, scale: float = 2.0) -> np.ndarray:
    joints = joints_at(skeleton, (200, 250), scale)
    return np.column_stack((joints, np.ones(len(joints))))


def drawn(keypoints: np.ndarray, skeleton: Skeleton = COCO_17, **options: float) -> np.ndarray:
    image = np.full((500, 400, 3), 128, np.uint8)
    draw_person(image, keypoints, skeleton, **options)
    return image


def color_at(image: np.ndarray, point: np.ndarray) -> tuple[int, ...]:
    return tuple(image[round(point[1]), round(point[0])].tolist())


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_joints_and_limbs_have_the_colour_of_their_side(skeleton: Skeleton) -> None:
    keypoints = person(skeleton)
    image = drawn(keypoints, skeleton)
    for name, point in zip(skeleton.joints, keypoints, strict=True):
        assert color_at(image, point) == COLORS_BGR[side(name)], name
    for start, end in (("left_knee", "left_ankle"), ("right_elbow", "right_wrist")):
        middle = (keypoints[skeleton.joints.index(start)] + keypoints[skeleton.joints.index(end)]) / 2
        assert color_at(image, middle) == COLORS_BGR[limb_side(start, end)]


def test_doubtful_and_impossible_joints_are_not_drawn() -> None:
    keypoints = person()
    keypoints[9, 2] = 0.2  # not larger than the threshold
    keypoints[10, 0] = np.nan
    wrist = person()[9]
    image = drawn(keypoints)
    assert color_at(image, wrist) == (128, 128, 128)
    assert color_at(drawn(keypoints, threshold=0.1), wrist) == COLORS_BGR["left"]
    assert (drawn(keypoints * [1, 1, 0]) == 128).all()


def test_what_lies_far_outside_does_no_harm() -> None:
    keypoints = person()
    keypoints[15, :2] = 1e30, -1e30
    assert (drawn(keypoints) != 128).any()


def test_larger_people_have_wider_lines() -> None:
    widths = [Pen.for_size(size).line_px for size in (0, 100, 200, 400, 1000)]
    assert widths == sorted(widths)
    assert widths[0] >= 1
    assert widths[-1] > 4 * widths[0]
    small, large = ((drawn(person(scale=scale)) != 128).mean() for scale in (0.5, 2))
    assert large > 4.5 * small  # lines alone are four times as long


def test_a_foreign_skeleton_is_refused() -> None:
    with pytest.raises(ValueError, match=r"keypoints are \(16, 3\), not \(17, 3\)"):
        drawn(person(), MPII_16)


def lightness_and_colour(bgr: tuple[int, int, int], kind: str) -> np.ndarray:
    """CIE L*a*b* of what eyes without one kind of cone see (Vienot, Brettel and Mollon, 1999, in linear RGB)."""
    rgb = (np.array(bgr[::-1]) / 255) ** 2.2
    seen = {
        "all": np.eye(3),
        "protan": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        "deutan": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    }[kind] @ rgb
    pixel = (np.clip(seen, 0, 1) ** (1 / 2.2)).astype(np.float32)[None, None]
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0])


@pytest.mark.parametrize("kind", ["all", "protan", "deutan"])
def test_sides_can_be_told_apart_by_everybody(kind: str) -> None:
    """CIE 1976 differences; 2.3 is just noticeable. Red against green of the same kind of lightness would fail."""
    colors = [lightness_and_colour(color, kind) for color in COLORS_BGR.values()]
    differences = [np.linalg.norm(a - b) for k, a in enumerate(colors) for b in colors[:k]]
    assert min(differences) > 40
    red, green = lightness_and_colour((60, 60, 200), "deutan"), lightness_and_colour((60, 130, 60), "deutan")
    assert np.linalg.norm(red - green) < 40


def test_a_picture_is_written_without_loss(tmp_path: Path) -> None:
    image = drawn(person())
    write_png(tmp_path / "new" / "name.jpg.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "name.jpg.png")), image)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["name.jpg.png"]


def test_an_image_that_png_cannot_hold_is_an_error_with_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"name\.png: no PNG file can be made of \(4, 4, 2\): "):
        write_png(tmp_path / "name.png", np.zeros((4, 4, 2), np.uint8))
    assert not list(tmp_path.iterdir())
