"""PCKh: counted by hand, its traps, its files, and every bad file as one line."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from dpn.data.mpii import read_mpii
from dpn.data.pckh_truth import Truth
from dpn.data.problems import DataError
from dpn.metrics.pckh import Scores, read_predictions, score, write_predictions
from dpn.skeletons import MPII_16
from tests.dpn import mpii_files
from tests.dpn.samples import MPII, needs_samples

Floats = NDArray[np.float64]
HEAD = MPII_16.joints.index("head")
LEFT_KNEE, RIGHT_KNEE = MPII_16.joints.index("left_knee"), MPII_16.joints.index("right_knee")


def made_up(count: int = 6, seed: int = 0) -> Truth:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 500, (count, 2))
    boxes = np.hstack([corners, corners + rng.uniform(20, 90, (count, 2))])
    return Truth.from_boxes(rng.uniform(0, 900, (count, 16, 2)), (rng.random((count, 16)) < 0.8) * 1.0, boxes)


def one_person(box: tuple[float, ...] = (0, 0, 30, 40)) -> Truth:
    """All joints at (100, 100); the head box's diagonal is 50, so the head's size is 30."""
    return Truth.from_boxes(np.full((1, 16, 2), 100.0), np.ones((1, 16)), np.array([box]))


def moved(truth: Truth, joint: int, by: float, person: int = 0) -> Floats:
    keypoints = truth.joints.copy()
    keypoints[person, joint, 0] += by
    return keypoints


def mean(scores: Scores, threshold: float = 0.5) -> float:
    value = scores.at[threshold].mean
    assert value is not None
    return value


def test_truth_scores_100_everywhere() -> None:
    scores = score(made_up(), made_up().joints)
    for at in scores.at.values():
        assert set(at.groups.values()) | set(at.joints.values()) == {100.0}
        assert (at.mean, at.unweighted_mean, at.head_and_neck) == (100.0, 100.0, 100.0)


def test_a_joint_at_exactly_half_the_heads_size_is_right() -> None:
    """Trap 11.10: mmpose uses < where the published code has <=."""
    truth = one_person()
    assert truth.head_sizes.tolist() == [30.0]
    assert score(truth, moved(truth, HEAD, 15.0)).at[0.5].groups["head"] == 100
    assert score(truth, moved(truth, HEAD, np.nextafter(15.0, 16))).at[0.5].groups["head"] == 100  # 115 + ulp is 115
    assert score(truth, moved(truth, HEAD, 15.0 + 1e-9)).at[0.5].groups["head"] == 0


def test_the_heads_size_is_0_6_of_the_diagonal() -> None:
    """Trap 11.10: without SC_BIAS a joint 20 px away would be right in a box with a diagonal of 50."""
    truth = one_person()
    assert score(truth, moved(truth, HEAD, 20.0)).at[0.5].groups["head"] == 0
    assert mean(score(truth, moved(truth, HEAD, 20.0))) == pytest.approx(100 * 13 / 14)


def test_corners_of_a_head_box_may_come_in_any_order() -> None:
    assert one_person((30, 0, 0, 40)).head_sizes.tolist() == [30.0]


def test_the_papers_0_1_is_0_11() -> None:
    """Trap of section 9: what SimpleBaseline and HRNet print as Mean@0.1 counts joints up to 0.11."""
    truth = one_person()
    scores = score(truth, moved(truth, HEAD, 0.105 * 30))
    assert list(scores.at) == [0.5, 0.1, 0.11]
    assert scores.at[0.1].groups["head"] == 0
    assert scores.at[0.11].groups["head"] == 100
    assert scores.as_dict()["pckh@0.1"]["head"] == 0
    assert scores.as_dict()["pckh@0.11"]["head"] == 100


def test_the_mean_counts_labels_and_not_joints() -> None:
    """Trap of section 9: pytorch-pose averages the joints' percentages instead."""
    truth = made_up(4)
    missing = np.zeros((4, 16), dtype=bool)
    missing[1:, LEFT_KNEE] = True
    truth = Truth(joints=truth.joints, missing=missing, head_sizes=truth.head_sizes)
    at = score(truth, moved(truth, LEFT_KNEE, 1e4)).at[0.5]
    assert at.mean == pytest.approx(100 * 52 / 53)
    assert at.unweighted_mean == pytest.approx(100 * 13 / 14)
    assert at.groups["knee"] == 50


def test_pelvis_and_thorax_count_nowhere() -> None:
    truth = made_up()
    for name in ("pelvis", "thorax"):
        at = score(truth, moved(truth, MPII_16.joints.index(name), 1e4, person=int(np.argmin(truth.missing[:, 6])))).at[
            0.5
        ]
        assert at.mean == at.unweighted_mean == 100
        assert set(at.groups.values()) == {100.0}


def test_head_is_the_top_alone_and_the_test_sets_is_both() -> None:
    truth = one_person()
    at = score(truth, moved(truth, MPII_16.joints.index("neck"), 1e4)).at[0.5]
    assert at.groups["head"] == 100
    assert at.head_and_neck == 50
    assert at.mean == pytest.approx(100 * 13 / 14)


def test_missing_joints_are_not_counted() -> None:
    truth = made_up()
    far = np.where(truth.missing[..., None], 1e5, truth.joints)
    assert truth.missing.any()
    assert mean(score(truth, far)) == 100
    nothing = Truth(joints=truth.joints, missing=np.ones((6, 16), dtype=bool), head_sizes=truth.head_sizes)
    at = score(nothing, truth.joints).at[0.5]
    assert (at.mean, at.groups["head"], at.unweighted_mean) == (None, None, None)


def test_a_pixel_matters(tmp_path: Path) -> None:
    """Trap 11.10: files count from 1. Forgetting it costs 0.2 at 0.5 and 5 at 0.1 (section 9), and is seen here."""
    truth, mat = mpii_files.truth_variables(40), tmp_path / "gt_valid.mat"
    mpii_files.write(mat, truth)
    exact = truth["pos_gt_src"].transpose(2, 0, 1)
    mpii_files.write(tmp_path / "pred.mat", {"preds": exact})
    assert mean(mpii_files.scored(mat, tmp_path / "pred.mat"), 0.1) == 100
    sizes = Truth.from_mat(mat).head_sizes
    threshold = float(np.sqrt(2) / np.median(sizes))
    assert mean(score(Truth.from_mat(mat), exact - 1, (threshold,)), threshold) == 100
    assert mean(score(Truth.from_mat(mat), exact, (threshold,)), threshold) < 75


def test_predictions_are_written_as_the_published_code_does(tmp_path: Path) -> None:
    keypoints = np.random.default_rng(0).uniform(-5, 900, (4, 16, 3))
    file = tmp_path / "new" / "pred.mat"
    write_predictions(file, keypoints)
    assert (loadmat(file)["preds"] == keypoints[..., :2] + 1.0).all()
    np.testing.assert_allclose(read_predictions(file), keypoints[..., :2], rtol=0, atol=1e-12)
    assert [path.name for path in file.parent.iterdir()] == ["pred.mat"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pred.mat"
    write_predictions(file, np.zeros((1, 16, 2)))
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        write_predictions(file, np.ones((1, 16, 2)))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_one_person_survives_matlabs_dropped_dimension(tmp_path: Path) -> None:
    variables = mpii_files.truth_variables(1)
    whole = Truth.from_mat(mpii_files.write(tmp_path / "a.mat", variables))
    squeezed = variables | {name: variables[name][..., 0] for name in ("pos_gt_src", "headboxes_src")}
    dropped = Truth.from_mat(mpii_files.write(tmp_path / "b.mat", squeezed))
    assert (whole.joints == dropped.joints).all()
    assert (whole.head_sizes == dropped.head_sizes).all()


def test_missing_joints_of_a_file_may_be_anything(tmp_path: Path) -> None:
    variables = mpii_files.truth_variables(5)
    variables["pos_gt_src"][variables["jnt_missing"].astype(bool)[:, None, :].repeat(2, axis=1)] = np.nan
    truth = Truth.from_mat(mpii_files.write(tmp_path / "gt_valid.mat", variables))
    assert mean(score(truth, np.nan_to_num(truth.joints))) == 100


def test_signalling_nans_are_one_line(tmp_path: Path) -> None:
    """NumPy warns of such a NaN, which a damaged file can hold, in every operation."""
    file = tmp_path / "pred.mat"
    write_predictions(file, np.zeros((1, 16, 2)))
    file.write_bytes(file.read_bytes()[:-8] + bytes.fromhex("010000000000f07f"))
    with pytest.raises(DataError, match="preds, person 0: holds nan"):
        read_predictions(file)


def broken(name: str, change: Any) -> Any:
    def build() -> dict[str, Any]:
        variables = mpii_files.truth_variables(5)
        if callable(change):
            variables[name] = change(variables[name])
        else:
            del variables[name]
        return variables

    return build


def with_value(at: tuple[int, ...], value: float) -> Any:
    def change(array: Any) -> Any:
        array = array.astype(np.float64)
        array[at] = value
        return array

    return change


BROKEN = {
    "no order": (broken("dataset_joints", None), "dataset_joints: is not the list of MPII's 16 joints"),
    "another order": (broken("dataset_joints", lambda a: a[:, ::-1]), "dataset_joints: is not the list"),
    "numbers for names": (broken("dataset_joints", lambda _: np.zeros(16)), "dataset_joints: is not the list"),
    "no positions": (broken("pos_gt_src", None), "pos_gt_src: is missing"),
    "17 joints": (broken("pos_gt_src", lambda a: np.concatenate([a, a[:1]])), "pos_gt_src: is an array of 17 x 2 x 5"),
    "turned": (broken("pos_gt_src", lambda a: a.transpose(2, 0, 1)), "pos_gt_src: is an array of 5 x 16 x 2"),
    "words": (broken("pos_gt_src", lambda _: "words"), "pos_gt_src: holds no numbers"),
    "NaN": (broken("pos_gt_src", lambda a: a * np.nan), "pos_gt_src, person 0: holds nan"),
    "no heads": (broken("headboxes_src", None), "headboxes_src: is missing"),
    "four heads": (broken("headboxes_src", lambda a: a[..., :4]), "headboxes_src: is an array of 2 x 2 x 4"),
    "infinite head": (broken("headboxes_src", with_value((0, 0, 3), np.inf)), "headboxes_src, person 3: holds inf"),
    "flat head": (broken("headboxes_src", lambda a: np.stack([a[0], a[0]])), "headboxes_src, person 0: is a box"),
    "no labels": (broken("jnt_missing", None), "jnt_missing: is missing"),
    "labels of 2": (broken("jnt_missing", with_value((3, 2), 2)), "jnt_missing: holds other values than 0 and 1"),
    "NaN labels": (broken("jnt_missing", with_value((3, 2), np.nan)), "jnt_missing: holds other values than 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize(("build", "expected"), BROKEN.values(), ids=BROKEN)
def test_bad_truth_is_one_line(tmp_path: Path, build: Any, expected: str) -> None:
    file = mpii_files.write(tmp_path / "gt_valid.mat", build())
    with pytest.raises(DataError) as caught:
        Truth.from_mat(file)
    assert str(caught.value).startswith(f"{file}: {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("preds", "expected"),
    [
        ({}, "preds: is missing"),
        ({"preds": np.zeros((5, 16, 3))}, "preds: is an array of 5 x 16 x 3; it must be N x 16 x 2"),
        ({"preds": np.zeros((5, 15, 2))}, "preds: is an array of 5 x 15 x 2"),
        ({"preds": np.full((5, 16, 2), 1j)}, "is no readable .mat file: an array of class 6, which is neither real"),
        ({"preds": np.full((5, 16, 2), np.nan)}, "preds, person 0: holds nan"),
        ({"preds": np.zeros((4, 16, 2))}, "preds: has 4 people, "),
    ],
)
def test_bad_predictions_are_one_line(tmp_path: Path, preds: dict[str, Any], expected: str) -> None:
    truth = mpii_files.write(tmp_path / "gt_valid.mat", mpii_files.truth_variables(5))
    file = mpii_files.write(tmp_path / "pred.mat", {"other": 1.0} | preds)
    with pytest.raises(DataError) as caught:
        mpii_files.scored(truth, file)
    assert str(caught.value).startswith(f"{file}: {expected}")


def test_bad_arrays_are_one_line() -> None:
    truth = made_up()
    with pytest.raises(DataError, match="predictions: are of 5 x 16 x 2, the truth is of 6 people"):
        score(truth, truth.joints[:5])
    with pytest.raises(DataError, match="predictions: person 2: holds NaN"):
        score(truth, moved(truth, 3, np.nan, person=2))
    with pytest.raises(ValueError, match="N x 16 x 2, N x 16 and N are needed"):
        Truth(joints=truth.joints, missing=truth.missing[:, :15], head_sizes=truth.head_sizes)


def test_files_that_are_no_mat_files_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "gt_valid.mat"
    with pytest.raises(DataError, match=r"gt_valid\.mat: there is no such file"):
        Truth.from_mat(file)
    for content in (b"", b"{}", b"\x00" * 300, b"x" * 4000):
        file.write_bytes(content)
        with pytest.raises(DataError, match=r"gt_valid\.mat: is no readable \.mat file: it does not begin") as caught:
            Truth.from_mat(file)
        assert "\n" not in str(caught.value)
    file.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512, b" ") + b"\x89HDF\r\n\x1a\n" + b"\x00" * 100)
    with pytest.raises(DataError, match=r"is a \.mat file of version 7\.3, which is HDF5; in MATLAB load it"):
        read_predictions(file)


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_files_raise_nothing_but_data_errors(tmp_path: Path, compressed: bool) -> None:
    """Cut short, or with bytes changed: 100 truths and 100 predictions of either kind."""
    rng = random.Random(3)
    truth, preds = tmp_path / "gt_valid.mat", tmp_path / "pred.mat"
    mpii_files.write(truth, mpii_files.truth_variables(2), compressed=compressed)
    mpii_files.write(preds, {"preds": np.ones((2, 16, 2))}, compressed=compressed)
    messages = []
    for whole, read in ((truth, Truth.from_mat), (preds, read_predictions)):
        data, damaged = whole.read_bytes(), tmp_path / "damaged.mat"
        for turn in range(100):
            changed = bytearray(data[: rng.randrange(len(data))] if turn % 4 == 0 else data)
            # Most bytes are coordinates: half of the changes go to headers, where they do harm.
            for _ in range(rng.randrange(1, 4)):
                if changed:
                    changed[rng.randrange(len(changed) if turn % 2 else min(len(changed), 300))] = rng.randrange(256)
            damaged.write_bytes(changed)
            try:
                read(damaged)
            except DataError as error:
                messages.append(str(error))
    assert all(str(tmp_path) in message and "\n" not in message for message in messages)
    assert 60 < len(messages) < 200


def test_the_test_set_is_read_from_the_data_sets_own_structures(tmp_path: Path) -> None:
    annolist, release, joints = mpii_files.release(7)
    official = mpii_files.write(tmp_path / "annolist_dataset_v12.mat", annolist)
    with pytest.raises(DataError, match="RELEASE: is missing, and so is mpii_human_pose"):
        Truth.from_mat(official)
    mpii_files.write(tmp_path / "mpii_human_pose_v1_u12_1.mat", release)
    truth = Truth.from_mat(official)
    assert len(truth) == 4 * 2 - 1
    absent = np.isnan(joints[..., 0])
    assert (truth.missing == absent).all()
    assert absent.all(axis=1).sum() == 1
    np.testing.assert_array_equal(truth.joints[~absent], joints[~absent] - 1)
    np.testing.assert_allclose(truth.head_sizes, 30)
    predictions = mpii_files.write(tmp_path / "pred.mat", {"preds": np.nan_to_num(joints)})
    assert mean(mpii_files.scored(official, predictions)) == 100


@pytest.mark.parametrize("damage", ["no joints", "all for training", "fewer images", "no such person", "odd numbers"])
def test_bad_structures_are_one_line(tmp_path: Path, damage: str) -> None:
    annolist, release, _ = mpii_files.release(7)
    within = release["RELEASE"]
    if damage == "no joints":
        for image in annolist["annolist"].ravel():
            for person in image["annorect"].ravel():
                person["annopoints"] = np.zeros((0, 0))
    elif damage == "all for training":
        within["img_train"] = np.ones((1, 7))
    elif damage == "fewer images":
        annolist["annolist"] = annolist["annolist"][:, :5]
    elif damage == "no such person":
        within["single_person"][1, 0] = np.array([[9]])
    else:
        annolist = {"annolist": np.arange(7.0)}
    mpii_files.write(tmp_path / "mpii_human_pose_v1_u12_1.mat", release)
    official = mpii_files.write(tmp_path / "annolist_dataset_v12.mat", annolist)
    with pytest.raises(DataError, match=r"annolist_dataset_v12\.mat: (annolist|RELEASE)") as caught:
        Truth.from_mat(official)
    assert "\n" not in str(caught.value)


@needs_samples
def test_head_points_are_0_8_of_a_head_boxs_diagonal_apart() -> None:
    """Why `NECK_SHARE` is 0.75 and not 0.6: MPII's boxes have whole corners, and only so do they come out whole.

    A box of whole corners around the points' middle must exist whose diagonal is their distance by 0.8, to the
    rounding of the file. By chance one distance in ten is so near to a whole square.
    """
    for entry in read_mpii(MPII / "valid.json"):
        neck, top = np.array(entry["joints"])[[8, 9]]
        middle_twice = np.round(neck + top)
        np.testing.assert_allclose(neck + top, middle_twice, atol=2e-4)
        squared = float(((top - neck) ** 2).sum()) / 0.64
        assert squared == pytest.approx(round(squared), abs=0.05)
        boxes = [
            (width, height)
            for width in range(1, 400)
            for height in range(1, 400)
            if width**2 + height**2 == round(squared)
            and ((width, height) - middle_twice) % 2 @ np.ones(2) == 0
            and 0.5 < width / height < 1.5
        ]
        assert boxes
        assert Truth.from_annotations([entry]).head_sizes == pytest.approx([0.6 * np.hypot(*boxes[0])], abs=2e-4)


@needs_samples
def test_annotations_score_predictions_too(tmp_path: Path) -> None:
    entries = read_mpii(MPII / "valid.json")
    file = mpii_files.write(tmp_path / "pred.mat", {"preds": np.array([entry["joints"] for entry in entries])})
    scores = mpii_files.scored(MPII / "valid.json", file)
    assert (scores.heads, scores.people, scores.scored) == ("points", 3, 3)
    assert mean(scores) == 100


def test_head_sizes_from_points_and_from_boxes_agree() -> None:
    """The two points lie 0.8 of the diagonal apart, as in MPII's files."""
    person = mpii_files.people(1)[0] | {"joints_vis": [1] * 16}
    person["joints"][8], person["joints"][9] = [100.0, 100.0], [124.0, 68.0]
    box = np.array([[0.0, 0, 30, 40]])
    assert Truth.from_annotations([person]).head_sizes == pytest.approx([30])
    assert Truth.from_boxes(np.zeros((1, 16, 2)), np.ones((1, 16)), box).head_sizes == pytest.approx([30])


def test_people_without_a_known_head_are_not_scored() -> None:
    entries = mpii_files.people(12)
    truth = Truth.from_annotations(entries)
    labelled = np.array([entry["joints_vis"] for entry in entries])
    known = labelled[:, [8, 9]].all(axis=1)
    assert 0 < known.sum() < 12
    assert (np.isfinite(truth.head_sizes) == known).all()
    far = np.where(known[:, None, None], truth.joints, 1e5)
    scores = score(truth, far)
    assert (mean(scores), scores.scored, scores.people) == (100, known.sum(), 12)
