"""The vectorised PCKh against one written joint by joint from the published definition, on random people."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpn.data.pckh_truth import Truth
from dpn.metrics.pckh import score
from dpn.skeletons import MPII_16
from tests.dpn import mpii_files

ORDER = mpii_files.SHORT_NAMES.split()
SIDED = {"shoulder": "sho", "elbow": "elb", "wrist": "wri", "hip": "hip", "knee": "kne", "ankle": "ank"}
THRESHOLDS = (0.5, 0.1, 0.11)


def counts(variables: dict[str, Any], preds: Any, threshold: float, *, bias: float = 0.6) -> dict[str, list[int]]:
    """Right and labelled for each joint; `preds` (N, 16, 2) and the truth are both counted from 1, as the files are."""
    found = {name: [0, 0] for name in ORDER}
    for person in range(len(preds)):
        (x1, y1), (x2, y2) = variables["headboxes_src"][:, :, person].tolist()
        size = bias * math.sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2)
        for joint, name in enumerate(ORDER):
            if variables["jnt_missing"][joint, person]:
                continue
            x, y = variables["pos_gt_src"][joint, :, person].tolist()
            away = math.sqrt((preds[person][joint][0] - x) ** 2 + (preds[person][joint][1] - y) ** 2)
            found[name][0] += away / size <= threshold
            found[name][1] += 1
    return found


def table(found: dict[str, list[int]]) -> dict[str, float]:
    """The row that HRNet prints, with its mean weighted by counts, and pytorch-pose's without."""
    percent = {name: 100 * right / total for name, (right, total) in found.items()}
    row = {"head": percent["head"]}
    for group, part in SIDED.items():
        row[group] = 0.5 * (percent["l" + part] + percent["r" + part])
    scored = [name for name in ORDER if name not in ("pelv", "thor")]
    everything = sum(found[name][1] for name in scored)
    row["mean"] = sum(percent[name] * found[name][1] / everything for name in scored)
    row["unweighted_mean"] = sum(percent[name] for name in scored) / 14
    return row


def people(seed: int, count: int) -> tuple[dict[str, Any], Any]:
    """A truth in which each joint is labelled at least once, and predictions at all distances around thresholds."""
    variables = mpii_files.truth_variables(count, seed)
    variables["jnt_missing"][:, 0] = 0
    rng = np.random.default_rng(seed + 1)
    sizes = 0.6 * np.linalg.norm(variables["headboxes_src"][1] - variables["headboxes_src"][0], axis=0)
    angle = rng.uniform(0, 2 * np.pi, (count, 16))
    away = sizes[:, None] * rng.choice([0.02, 0.09, 0.105, 0.12, 0.3, 0.49, 0.51, 0.7], (count, 16))
    away[:, [0, 5]] *= 2  # joints of unequal difficulty, so that the two means differ
    step = away[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return variables, variables["pos_gt_src"].transpose(2, 0, 1) + step


def truth_of(variables: dict[str, Any]) -> Truth:
    boxes = variables["headboxes_src"].transpose(2, 0, 1).reshape(-1, 4)
    return Truth.from_boxes(variables["pos_gt_src"].transpose(2, 0, 1) - 1, 1 - variables["jnt_missing"].T, boxes)


def row_of(at: Any) -> dict[str, float]:
    return {**at.groups, "mean": at.mean, "unweighted_mean": at.unweighted_mean}


@given(st.integers(0, 2**31), st.integers(1, 9))
@settings(deadline=None, max_examples=60)
def test_scores_are_those_of_the_plain_loop(seed: int, count: int) -> None:
    variables, preds = people(seed, count)
    scores = score(truth_of(variables), preds - 1, THRESHOLDS)
    for threshold in THRESHOLDS:
        found = counts(variables, preds, threshold)
        assert row_of(scores.at[threshold]) == pytest.approx(table(found), abs=1e-9)
        short = dict(zip(MPII_16.joints, ORDER, strict=True))
        for name, value in scores.at[threshold].joints.items():
            right, total = found[short[name]]
            assert value == pytest.approx(100 * right / total, abs=1e-9)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_files_give_the_plain_loops_scores(tmp_path: Path, threshold: float) -> None:
    variables, preds = people(5, 50)
    truth = mpii_files.write(tmp_path / "gt_valid.mat", variables)
    predictions = mpii_files.write(tmp_path / "pred.mat", {"preds": preds})
    expected = table(counts(variables, preds, threshold))
    assert row_of(mpii_files.scored(truth, predictions).at[threshold]) == pytest.approx(expected, abs=1e-9)


def test_each_trap_gives_other_numbers() -> None:
    """The comparisons above would notice: no SC_BIAS, the unweighted mean, 0.1 for 0.11, a forgotten + 1."""
    variables, preds = people(5, 50)
    right = table(counts(variables, preds, 0.5))
    assert table(counts(variables, preds, 0.5, bias=1.0))["mean"] > right["mean"] + 1
    assert abs(right["mean"] - right["unweighted_mean"]) > 0.01
    near = table(counts(variables, preds, 0.1))
    assert table(counts(variables, preds, 0.11))["mean"] > near["mean"] + 1
    assert table(counts(variables, preds - 1, 0.1))["mean"] != near["mean"]


@given(st.integers(0, 2**31))
@settings(deadline=None, max_examples=30)
def test_a_joint_on_the_threshold_is_right_in_both(seed: int) -> None:
    """Whole corners 3 to 4 make sizes without rounding; every joint lies at exactly half of its own."""
    rng = np.random.default_rng(seed)
    variables = mpii_files.truth_variables(4, seed)
    variables["jnt_missing"][:] = 0
    variables["pos_gt_src"] = np.round(variables["pos_gt_src"])
    sides = 10.0 * rng.integers(1, 9, 4)
    corner = np.round(variables["headboxes_src"][0])
    variables["headboxes_src"] = np.stack([corner, corner + np.stack([3 * sides, 4 * sides])])
    half = 0.5 * 0.6 * 5 * sides
    assert (half == 1.5 * sides).all()
    preds = variables["pos_gt_src"].transpose(2, 0, 1).copy()
    preds[:, :, seed % 2] += half[:, None]
    assert table(counts(variables, preds, 0.5))["mean"] == pytest.approx(100)
    assert score(truth_of(variables), preds - 1).at[0.5].mean == 100
    preds[:, :, seed % 2] += 1e-6
    assert score(truth_of(variables), preds - 1).at[0.5].mean == 0
