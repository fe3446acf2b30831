"""Scenes of synthetic figures: repeatable, with true masks and joints, and sides that only the head tells."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from dpn.data.crops import PIXEL_STD, box_to_center_scale
from dpn.skeletons import COCO_17, MPII_16
from dpn.synthetic.body import ANGLES, pose
from dpn.synthetic.camera import look
from dpn.synthetic.draw import GROUP_BITS, paint, strokes, view
from dpn.synthetic.figures import LEAST_JOINTS, LEAST_PIXELS, Figure, Scene, SyntheticFigures
from dpn.synthetic.population import population
from dpn.synthetic.scene import Painted, compose
from dpn.synthetic.shape import FLESH, GROUPS, JOINT_NAMES, PART_NAMES, PLACE_FRAMES
from dpn.synthetic.truth import REACH, label, tables

SCENES = 250
COCO = {name: i for i, name in enumerate(COCO_17.joints)}
FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
OWN = {"elbow": ("upper_arm", "forearm"), "wrist": ("forearm",), "knee": ("thigh", "shin"), "ankle": ("shin", "foot")}


@cache
def scenes() -> list[Scene]:
    figures = SyntheticFigures(seed=3)
    return [figures.scene(index) for index in range(SCENES)]


@cache
def painted() -> list[Painted]:
    return [compose(np.random.default_rng((8, index))) for index in range(150)]


def everyone() -> list[Figure]:
    return [figure for scene in scenes() for figure in scene.figures]


def digest(indices: list[int], seed: int = 1) -> dict[int, str]:
    """A digest of everything in each scene."""
    found = {}
    for index in indices:
        scene = SyntheticFigures(seed=seed).scene(index)
        content = hashlib.sha256(scene.image.tobytes())
        for figure in scene.figures:
            for array in (figure.joints, figure.mpii_joints, figure.box_xywh, figure.head_box_xyxy, figure.mask()):
                content.update(np.ascontiguousarray(array).tobytes())
        found[index] = content.hexdigest()
    return found


_ELSEWHERE = """
import importlib.util, json, sys
import cv2, numpy as np
cv2.setNumThreads(3)
np.random.seed(99)
spec = importlib.util.spec_from_file_location("there", sys.argv[1])
there = importlib.util.module_from_spec(spec)
spec.loader.exec_module(there)
print(json.dumps(there.digest([5, 0, 3])))
"""


def test_a_scene_is_the_same_in_any_order_process_and_number_of_threads() -> None:
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        forwards = digest([0, 3, 5])
    finally:
        cv2.setNumThreads(threads)
    assert (np.random.get_state(legacy=False)["state"]["key"] == before).all()
    assert digest([3, 5, 0]) == forwards
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, __file__], capture_output=True, text=True, check=True, timeout=120
    )
    assert {int(k): v for k, v in json.loads(done.stdout).items()} == forwards


def test_seeds_and_indices_make_other_scenes() -> None:
    both = {**{("a", k): v for k, v in digest([0, 1]).items()}, **{("b", k): v for k, v in digest([0, 1], 2).items()}}
    assert len(set(both.values())) == 4


def test_pictures_have_many_sizes_and_are_colour_images() -> None:
    sizes = {scene.image.shape[:2] for scene in scenes()}
    assert len(sizes) > SCENES / 2
    assert min(h / w for h, w in sizes) < 0.8 < 1.25 < max(h / w for h, w in sizes)
    for scene in scenes():
        assert scene.image.dtype == np.uint8
        assert scene.image.shape[2] == 3
        assert scene.image.flags.c_contiguous
        assert scene.image.std() > 8


def test_areas_boxes_and_masks_say_the_same() -> None:
    for scene in scenes():
        total = np.zeros(scene.image.shape[:2], int)
        for figure in scene.figures:
            mask = figure.mask()
            total += mask
            assert figure.area == mask.sum() >= LEAST_PIXELS
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            tight = (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
            assert tuple(figure.box_xywh) == tight
        assert total.max() <= 1, "a pixel shows two figures"


def test_ids_are_of_figures_and_groups() -> None:
    """Textures and light touch colours alone, never the map of who is where."""
    for scene in scenes():
        ids = scene.figures[0].ids
        assert (ids >> GROUP_BITS).max() <= 5
        assert (ids & ((1 << GROUP_BITS) - 1)).max() < len(GROUPS)
        assert ((ids >> GROUP_BITS > 0) == ((ids & ((1 << GROUP_BITS) - 1)) > 0)).all()


def test_the_subject_comes_first_and_the_others_by_distance() -> None:
    for scene in scenes():
        assert scene.figures[0].number == 1
        assert (scene.figures[0].joints[:, 2] == 2).sum() >= LEAST_JOINTS
        depths = [figure.depth for figure in scene.figures[1:]]
        assert depths == sorted(depths)
    assert {len(scene.figures) for scene in scenes()} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("style", ["coco", "mpii"])
def test_labelled_joints_lie_inside_and_the_others_are_zero(style: str) -> None:
    for figure in everyone():
        table = figure.joints if style == "coco" else figure.mpii_joints
        height, width = figure.ids.shape
        assert set(np.unique(table[:, 2])) <= {0, 1, 2}
        assert (table[table[:, 2] == 0] == 0).all()
        labelled = table[table[:, 2] > 0]
        assert (labelled[:, :2] >= 0).all()
        assert (labelled[:, :2] <= (width - 1, height - 1)).all()


def test_visible_joints_lie_on_their_figure() -> None:
    for figure in everyone():
        near = cv2.dilate(figure.mask().astype(np.uint8), np.ones((3, 3), np.uint8))
        for table in (figure.joints, figure.mpii_joints):
            seen = np.rint(table[table[:, 2] == 2]).astype(int)
            assert near[seen[:, 1], seen[:, 0]].all()


def test_a_limbs_joint_is_hidden_just_where_something_else_is_shown() -> None:
    hidden = 0
    for figure in everyone():
        for joint, groups in OWN.items():
            for side in ("left", "right"):
                x, y, v = figure.joints[COCO[f"{side}_{joint}"]]
                if v == 0:
                    continue
                pixel = figure.ids[round(y), round(x)]
                own = [(figure.number << GROUP_BITS) | GROUPS.index(f"{side}_{group}") for group in groups]
                assert v == 2 or pixel not in own
                hidden += v == 1
    assert hidden > 200


def test_every_joint_appears_visible_hidden_and_not_at_all() -> None:
    coco = np.array([figure.joints[:, 2] for figure in everyone()])
    for v in (0, 1, 2):
        assert (coco == v).any(axis=0).all(), v
    mpii = np.array([figure.mpii_joints[:, 2] for figure in everyone()])
    assert (mpii == 2).any(axis=0).all()


def test_shares_of_hidden_and_cut_off_joints_are_like_those_of_photographs() -> None:
    subjects = np.array([scene.figures[0].mpii_joints[:, 2] for scene in scenes()])
    assert 0.55 < (subjects == 2).mean() < 0.85
    assert 0.12 < (subjects == 1).mean() < 0.40
    assert 0.02 < (subjects == 0).mean() < 0.20
    share = [scene.figures[0].box_xywh[3] / scene.image.shape[0] for scene in scenes()]
    assert np.quantile(share, 0.1) < 0.5 < 0.75 < np.quantile(share, 0.9)
    yaw = np.abs([scene.figures[0].yaw_deg for scene in scenes()])
    assert (yaw < 60).mean() > 0.3
    assert (yaw > 120).mean() > 0.3


def test_coco_and_mpii_agree_on_the_joints_they_share() -> None:
    shared = [name for name in MPII_16.joints if name in COCO]
    assert len(shared) == 12
    dropped = 0
    for figure in everyone():
        ours = figure.joints[[COCO[name] for name in shared]]
        theirs = figure.mpii_joints[[MPII_16.joints.index(name) for name in shared]]
        left_out = (ours[:, 2] == 0) & (theirs[:, 2] == 1)
        np.testing.assert_array_equal(ours[~left_out], theirs[~left_out])
        low, size = figure.box_xywh[:2], figure.box_xywh[2:]
        beyond = np.maximum(low - theirs[left_out, :2], theirs[left_out, :2] - low - size).max(axis=1)
        assert (beyond > REACH * size.max() - 1e-9).all()
        assert not ours[left_out].any()
        dropped += left_out.sum()
    assert dropped


def test_every_labelled_joint_lies_in_the_usual_crop() -> None:
    """A joint outside the padded box has no place in any heatmap, and would cap the score of the best network."""
    for figure in everyone():
        labelled = figure.joints[figure.joints[:, 2] > 0, :2]
        center, scale = box_to_center_scale(figure.box_xywh, 192 / 256)
        assert (np.abs(labelled - center) <= scale * PIXEL_STD / 2).all()


def test_joints_are_projections_of_the_body() -> None:
    for picture in painted()[:40]:
        flesh = picture.flesh
        labels = label(flesh, picture.ids, np.zeros(len(flesh.away_m), bool))
        coco, mpii = tables(flesh, labels)
        pixels = flesh.centers_px[:, FLESH:]
        seen = coco[..., 2] > 0
        np.testing.assert_array_equal(coco[seen][:, :2], pixels[:, : len(COCO)][seen])
        both = (mpii[:, [2, 3, 6], 2] > 0).all(axis=1)  # the pelvis is midway between the hips, in perspective nearly
        middle = (mpii[:, 2, :2] + mpii[:, 3, :2]) / 2
        assert np.abs(middle - mpii[:, 6, :2])[both].max(initial=0) < 2


def test_heads_from_behind_have_no_eyes_and_from_the_front_have() -> None:
    behind = before = 0
    for picture in painted():
        flesh, cast = picture.flesh, picture.cast
        labels = label(flesh, picture.ids, np.zeros(len(flesh.away_m), bool))
        coco, _ = tables(flesh, labels)
        forwards = cast.posed.turns[:, 3, :, 2]
        for person, faces in enumerate(forwards[:, 2]):  # towards the camera, but for perspective
            face = coco[person, [COCO[name] for name in ("nose", "left_eye", "right_eye")], 2]
            inside = labels[person, [JOINT_NAMES.index(name) for name in ("nose", "left_eye", "right_eye")]] > 0
            if faces < -0.5:
                assert (face == 0).all()
                behind += 1
            elif faces > 0.9:
                assert (face[inside] > 0).all()
                before += 1
    assert min(behind, before) > 30


def test_ears_are_seen_from_behind_too() -> None:
    """They stick out of short hair: the head alone tells left from right, from both directions."""
    seen = [f.joints[[3, 4], 2] for f in everyone() if abs(f.yaw_deg) > 165 and f.joints[0, 2] == 0]
    assert np.mean([(ears == 2).any() for ears in seen]) > 0.3


def test_head_boxes_hold_the_head() -> None:
    for figure in everyone():
        left, top, right, bottom = figure.head_box_xyxy
        for x, y, v in figure.joints[[COCO[name] for name in FACE]]:
            if v > 0:
                assert left - 2 <= x <= right + 2
                assert top - 2 <= y <= bottom + 2
        assert 0.4 < (right - left) / (bottom - top) < 2.5


def test_outfits_are_the_same_on_the_left_and_the_right() -> None:
    outfits = population().outfits
    for name in PART_NAMES:
        if name.startswith("left_"):
            here, there = PART_NAMES.index(name), PART_NAMES.index(name.replace("left_", "right_"))
            assert (outfits.colors[:, :, here] == outfits.colors[:, :, there]).all()
            assert (outfits.shown[:, here] == outfits.shown[:, there]).all()


def test_below_the_neck_the_back_looks_like_the_front() -> None:
    """The same person at rest, turned by half a turn and far away, leaves the same colours from chest to ankle."""
    camera = replace(look(1.0, 0.0, 0.0), focal_px=20_000.0, middle_px=(100.0, 110.0))  # 200 m away: hardly perspective
    compared = 0
    for person in range(12):
        row = np.array([person])
        outfit = population().outfits.under(row, np.ones(3))
        pictures = []
        for yaw in (0.0, 180.0):
            angles = np.zeros((1, len(ANGLES)))
            angles[:, [i for i, name in enumerate(ANGLES) if name.endswith("shoulder_abduction")]] = 25
            posed = pose(population().bodies.take(row), angles, np.array([yaw]), np.zeros((1, 2)))
            centers = posed.points(PLACE_FRAMES, population().offsets_m[row]) + np.array([0.0, 0.9, -200.0])
            flesh = view(posed, centers, population().radii_m[row], camera)
            canvas = np.zeros((220, 200, 4), np.uint8)
            paint(canvas, strokes(flesh, outfit, np.array([0.0, -1.0]), (220, 200))[0])
            pictures.append(canvas)
            rows = flesh.centers_px[0, FLESH + np.array([COCO["left_shoulder"], COCO["left_ankle"]]), 1].astype(int)
        body = slice(rows[0] + 12, rows[1] - 6)
        front, back = (picture[body] for picture in pictures)
        assert (front[..., 3] > 0).sum() > 1000
        differs = (front[..., :3] != back[..., :3]).any(axis=-1)
        assert differs.mean() < 0.02
        crossed = np.isin(front[..., 3] & 15, [GROUPS.index("left_forearm"), GROUPS.index("right_forearm")])
        if crossed.any():
            compared += 1
            assert (front[..., 3] != back[..., 3])[crossed].mean() > 0.9  # but it is the other arm
    assert compared > 5


def wrists() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gray patches around visible wrists; whether each is a left one; what its side of the trunk and the head say."""
    patches, lefts, guesses = [], [], []
    for scene in scenes():
        gray = cv2.cvtColor(scene.image, cv2.COLOR_BGR2GRAY)
        for figure in scene.figures:
            turned = abs(figure.yaw_deg)
            if 50 < turned < 130 or (figure.mpii_joints[[2, 3], 2] == 0).any():
                continue
            for name in ("left_wrist", "right_wrist"):
                x, y, v = figure.joints[COCO[name]]
                half = 10
                if v == 2 and half < x < gray.shape[1] - half and half < y < gray.shape[0] - half:
                    at = gray[round(y) - half : round(y) + half, round(x) - half : round(x) + half]
                    patches.append(cv2.resize(at, (10, 10), interpolation=cv2.INTER_AREA).ravel().astype(float))
                    lefts.append(name == "left_wrist")
                    guesses.append((x > figure.mpii_joints[6, 0]) == (turned < 90))
    return np.array(patches), np.array(lefts), np.array(guesses)


def test_a_wrist_is_not_left_or_right_by_what_is_near_it_but_by_the_head() -> None:
    patches, left, guesses = wrists()
    assert len(left) > 200
    patches = (patches - patches.mean(axis=1, keepdims=True)) / (patches.std(axis=1, keepdims=True) + 8)
    half = len(left) // 2
    gram = patches[:half].T @ patches[:half] + 30 * np.eye(patches.shape[1])
    weights = np.linalg.solve(gram, patches[:half].T @ (2.0 * left[:half] - 1))
    near = ((patches[half:] @ weights > 0) == left[half:]).mean()
    assert 0.35 < near < 0.65, "a patch tells the side"
    assert (guesses == left).mean() > 0.8, "front or back, and the side in the picture, do not tell it"
