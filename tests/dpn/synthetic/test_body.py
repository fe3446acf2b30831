"""The articulated body: lengths, limits, hinges, mirror symmetry and the camera, as geometry."""

from dataclasses import replace

import numpy as np
import pytest

from dpn.synthetic.body import (
    ANGLES,
    FRAMES,
    HIGHEST,
    LENGTHS,
    LOWEST,
    SEGMENTS,
    Bodies,
    draw_bodies,
    pose,
    rotations,
)
from dpn.synthetic.camera import look
from dpn.synthetic.pose import FAMILIES, NAMES, draw_poses
from dpn.synthetic.shape import ELLIPSOIDS, FLESH, JOINT_NAMES, PARTS, PLACE_FRAMES, sizes_m

PEOPLE = 1000


def drawn(people: int = PEOPLE) -> tuple[Bodies, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    bodies, poses = draw_bodies(rng, people), draw_poses(rng, people)
    return bodies, poses.angles_deg, poses.yaw_deg, poses.lean_deg


def joints_m(bodies: Bodies, angles: np.ndarray, yaw: np.ndarray, lean: np.ndarray) -> dict[str, np.ndarray]:
    posed = pose(bodies, angles, yaw, lean)
    offsets, _ = sizes_m(bodies, np.ones(len(angles)))
    places = posed.points(PLACE_FRAMES, offsets)[:, FLESH:]
    return {name: places[:, i] for i, name in enumerate(JOINT_NAMES)}


def length_m(bodies: Bodies, name: str) -> np.ndarray:
    return bodies.lengths_m[:, LENGTHS.index(name)]


def test_segments_add_up_to_winters_heights() -> None:
    """Of the floor: knee 0.285, hip 0.530, shoulder 0.818, chin 0.870, and 1 at the top."""
    heights = np.cumsum([SEGMENTS[name] for name in ("ankle", "shin", "thigh", "spine", "neck", "head")])
    assert heights == pytest.approx([0.039, 0.285, 0.530, 0.818, 0.870, 1.0])


def test_limbs_keep_their_lengths_in_every_pose() -> None:
    bodies, *pose_of = drawn()
    joints = joints_m(bodies, *pose_of)
    for start, end, segment, factor in (
        ("shoulder", "elbow", "upper_arm", 1), ("elbow", "wrist", "forearm", 1),
        ("hip", "knee", "thigh", 1), ("knee", "ankle", "shin", 1),
    ):  # fmt: skip
        for side in ("left", "right"):
            length = np.linalg.norm(joints[f"{side}_{start}"] - joints[f"{side}_{end}"], axis=1)
            np.testing.assert_allclose(length, factor * length_m(bodies, segment), rtol=1e-12)
    for joint in ("shoulder", "hip"):
        width = np.linalg.norm(joints[f"left_{joint}"] - joints[f"right_{joint}"], axis=1)
        np.testing.assert_allclose(width, 2 * length_m(bodies, joint), rtol=1e-12)
    head = np.linalg.norm(joints["head"] - joints["neck"], axis=1)
    np.testing.assert_allclose(head, length_m(bodies, "head"), rtol=1e-12)
    np.testing.assert_allclose((joints["left_hip"] + joints["right_hip"]) / 2, joints["pelvis"], atol=1e-12)


def test_angles_stay_within_the_limits_and_use_them() -> None:
    _, angles, _, _ = drawn()
    assert (angles >= LOWEST).all()
    assert (angles <= HIGHEST).all()
    reached = (angles.max(axis=0) - angles.min(axis=0)) / (HIGHEST - LOWEST)
    assert reached.min() > 0.4, ANGLES[int(reached.argmin())]


def test_elbows_and_knees_are_hinges_that_bend_one_way() -> None:
    """In the upper piece's axes the lower piece never leaves the plane of flexion, nor passes its stop."""
    bodies, *pose_of = drawn()
    turns = pose(bodies, *pose_of).turns
    for upper, lower, forwards in (("upper_arm", "forearm", 1), ("thigh", "shin", -1)):
        for side in ("left", "right"):
            above, below = FRAMES.index(f"{side}_{upper}"), FRAMES.index(f"{side}_{lower}")
            local = turns[:, above].swapaxes(1, 2) @ -turns[:, below, :, 1, None]
            np.testing.assert_allclose(local[:, 0, 0], 0, atol=1e-12)
            assert (forwards * local[:, 2, 0] >= -1e-12).all()


def test_a_person_at_rest_stands_upright_with_the_left_side_on_the_pictures_right() -> None:
    rng = np.random.default_rng(0)
    bodies = draw_bodies(rng, 3)
    joints = joints_m(bodies, np.zeros((3, len(ANGLES))), np.zeros(3), np.zeros((3, 2)))
    assert (joints["left_shoulder"][:, 0] > joints["right_shoulder"][:, 0]).all()
    assert (joints["nose"][:, 2] > joints["left_ear"][:, 2] + 0.05).all()
    for high, low in (("head", "nose"), ("neck", "thorax"), ("left_elbow", "left_wrist"), ("left_hip", "left_knee")):
        assert (joints[high][:, 1] > joints[low][:, 1]).all()


@pytest.mark.parametrize(
    ("angle", "joint", "axis", "sign"),
    [
        ("left_shoulder_flexion", "left_wrist", 2, 1), ("left_shoulder_abduction", "left_wrist", 0, 1),
        ("right_shoulder_abduction", "right_wrist", 0, -1), ("right_elbow_flexion", "right_wrist", 2, 1),
        ("left_hip_flexion", "left_ankle", 2, 1), ("right_hip_abduction", "right_ankle", 0, -1),
        ("left_knee_flexion", "left_ankle", 2, -1), ("spine_flexion", "nose", 2, 1),
    ],
)  # fmt: skip
def test_each_angle_moves_its_joint_the_way_its_name_says(angle: str, joint: str, axis: int, sign: int) -> None:
    bodies = draw_bodies(np.random.default_rng(1), 1)
    angles = np.zeros((1, len(ANGLES)))
    still = (np.zeros(1), np.zeros((1, 2)))
    before = joints_m(bodies, angles, *still)[joint]
    angles[0, ANGLES.index(angle)] = 40
    assert sign * (joints_m(bodies, angles, *still)[joint] - before)[0, axis] > 0.1


def test_swapping_sides_mirrors_the_person() -> None:
    bodies, angles, yaw, lean = drawn(50)
    swapped = [
        ANGLES.index(name.replace("left_", "*").replace("right_", "left_").replace("*", "right_")) for name in ANGLES
    ]
    mirrored = angles[:, swapped].copy()
    for i, name in enumerate(ANGLES):
        if name.endswith(("_bend", "_twist")):
            mirrored[:, i] *= -1
    plain, other = joints_m(bodies, angles, yaw, lean), joints_m(bodies, mirrored, -yaw, lean * (1, -1))
    for name, places in plain.items():
        partner = name.replace("left_", "*").replace("right_", "left_").replace("*", "right_")
        np.testing.assert_allclose(other[partner] * (-1, 1, 1), places, atol=1e-12)


def test_rotations_are_proper() -> None:
    turns = rotations(np.random.default_rng(2).uniform(-3, 3, (50, 3)))
    np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(turns), 1)


def test_people_face_all_ways_and_front_and_back_most() -> None:
    rng = np.random.default_rng(3)
    poses = draw_poses(rng, 4000)
    front, back = (np.abs(poses.yaw_deg) < 45).mean(), (np.abs(poses.yaw_deg) > 135).mean()
    assert 0.33 < front < 0.45
    assert abs(front - back) < 0.04
    assert ((poses.yaw_deg > 60) & (poses.yaw_deg < 120)).mean() > 0.05
    assert set(poses.families.tolist()) == set(range(len(NAMES)))
    assert poses.raised_m[poses.families == NAMES.index("standing")].max() == 0
    assert poses.seated.mean() == pytest.approx(
        FAMILIES["sitting"].share / sum(family.share for family in FAMILIES.values()), abs=0.02
    )


def test_bodies_differ_and_children_are_among_them() -> None:
    bodies = draw_bodies(np.random.default_rng(4), 2000)
    assert 0.9 < bodies.stature_m.min() < 1.3 < 1.9 < bodies.stature_m.max() < 2.0
    ratio = length_m(bodies, "upper_arm") / bodies.stature_m
    assert 0.03 < ratio.std() / ratio.mean() < 0.05


def test_flesh_and_parts_mirror_each_other() -> None:
    """Left and right have the same sizes, offsets and paints, so that no limb says by itself which side it is of."""
    for name, ellipsoid in ELLIPSOIDS.items():
        if "left_" in name:
            other = ELLIPSOIDS[name.replace("left_", "right_")]
            assert other.offset == (-ellipsoid.offset[0] or 0, *ellipsoid.offset[1:]), name
            assert (other.radii, other.along) == (ellipsoid.radii, ellipsoid.along)
        elif "right" not in name:
            assert ellipsoid.offset[0] == 0, name
    for name, part in PARTS.items():
        if name.startswith("left_"):
            other_part = PARTS[name.replace("left_", "right_")]
            assert (other_part.paint, other_part.nearer_m) == (part.paint, part.nearer_m)
            assert other_part.faces == (-part.faces[0] or 0, *part.faces[1:])


def test_front_and_back_of_trunk_and_limbs_are_alike() -> None:
    for name, ellipsoid in ELLIPSOIDS.items():
        if ellipsoid.frame != "head" and "foot" not in ellipsoid.frame and name != "nape":
            assert ellipsoid.offset[2] == 0, name


def test_ground_is_found_under_a_column_of_the_picture() -> None:
    camera = look(1.4, 7.0, -4.0)
    camera = replace(camera, focal_px=300.0, middle_px=(130.0, 90.0))
    columns, away = np.array([-20.0, 100.0, 240.0]), np.array([3.0, 5.0, 9.0])
    spots = camera.ground(columns, away)
    np.testing.assert_allclose(spots[:, 1], 0)
    np.testing.assert_allclose(-spots[:, 2], away)
    np.testing.assert_allclose(camera.project(spots)[:, 0], columns, atol=1e-9)


def test_the_camera_is_a_pinhole() -> None:
    camera = look(1.5, 0.0, 0.0)
    camera = replace(camera, focal_px=200.0, middle_px=(10.0, 20.0))
    assert camera.project(np.array([0.5, 1.5, -4.0])).tolist() == [10 + 200 * 0.5 / 4, 20]
    assert camera.project(np.array([0.0, 0.5, -4.0])).tolist() == [10, 20 + 200 * 1.0 / 4]
    tilted = look(1.5, 10.0, 0.0)
    assert tilted.seen(np.array([0.0, 1.5, -4.0]))[1] < 0  # looking down, what is level moves up
    np.testing.assert_allclose(tilted.turn @ tilted.turn.T, np.eye(3), atol=1e-12)
