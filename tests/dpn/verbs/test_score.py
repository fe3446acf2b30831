"""`python -m dpn score` on files of annotations and predictions."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpn.metrics.coco import score
from dpn.metrics.coco_scores import NAMES
from dpn.program import cli
from dpn.verbs.score import SCORE
from tests.dpn.metrics.made_coco import content, plain, rows_of
from tests.dpn.metrics.test_average_precision import made_up
from tests.dpn.mpii_files import people, truth_of, truth_variables, write


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.run("python -m dpn", "Test.", {"score": SCORE}, ["score", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


NONE = ("--resamples", "0")


def named(annotations: Path, results: Path) -> tuple[str, ...]:
    return "--annotations", str(annotations), "--results", str(results)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Annotations without `info`, all of large people, and results of whom two in three are right."""
    truth = content(images=3, each=1, area=20_000.0)
    del truth["info"]
    rows = rows_of(truth)
    rows[2] = {**rows[2], "keypoints": [value + 300 for value in rows[2]["keypoints"]], "score": 0.5}
    for name, value in (("annotations", truth), ("results", rows)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return tmp_path / "annotations.json", tmp_path / "results.json"


def test_json_is_one_object_of_exact_numbers(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    annotations, results = files
    assert run("coco", *named(annotations, results), *NONE, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    truth, rows = (json.loads(path.read_text()) for path in files)
    assert found == asdict(score(truth, rows))
    assert [*found] == [*NAMES, "n_images", "n_people", "engine"]
    assert [found[name] for name in NAMES] == [None if value == -1 else value for value in plain(truth, rows)]
    assert (found["APM"], found["n_images"], found["n_people"]) == (None, 3, 3)
    assert found["engine"] == "pycocotools"


def test_without_json_a_table_in_percent(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    annotations, results = files
    assert run("coco", *named(annotations, results), *NONE) == 0
    said, names, numbers = capsys.readouterr().out.splitlines()
    assert said == "3 people in 3 images by pycocotools; percent, - where there is nobody to find"
    shown = dict(zip(names.split(), numbers.split(), strict=True))
    assert [*shown] == [*NAMES]
    assert (shown["AP"], shown["AR"], shown["APM"], shown["APL"]) == ("66.3", "66.7", "-", "66.3")


def test_a_bad_file_is_one_line(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    annotations, results = files
    results.write_text(json.dumps([{**row, "image_id": 7} for row in json.loads(results.read_text())]))
    assert run("coco", "--annotations", str(annotations), "--results", str(results)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {results}: [0].image_id: is 7, which is no image of the annotations; score it")


def test_a_file_without_predictions_is_scored_and_named(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    annotations, results = files
    results.write_text("[]")
    assert run("coco", *named(annotations, results), *NONE, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["AP"] == 0
    assert printed.err.splitlines() == [f"note: {results} holds no predictions"]


@pytest.mark.parametrize("more", [{}, {"num_keypoints": 9, "keypoints": [7.0] * 51, "iscrowd": 0}])
def test_other_categories_are_nobody(
    more: dict[str, Any], files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    words = ("coco", *named(*files), "--json", "--resamples", "100")
    assert run(*words) == 0
    alone = json.loads(capsys.readouterr().out)
    truth = json.loads(files[0].read_text())
    truth["categories"].append({"id": 18, "name": "dog"})
    truth["annotations"].append({"id": 9, "image_id": 1, "category_id": 18, "bbox": [1, 1, 9, 9], "area": 81.0, **more})
    files[0].write_text(json.dumps(truth))
    for engine in ("pycocotools", "own"):
        if engine == "own":
            monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
        assert run(*words) == 0
        assert json.loads(capsys.readouterr().out) == {**alone, "engine": engine}


def test_images_without_predictions_are_told_of_where_there_are_people(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    annotations, results = files
    truth = json.loads(annotations.read_text())
    truth["images"].append({"id": 9, "file_name": "9.jpg", "width": 9, "height": 9})
    annotations.write_text(json.dumps(truth))
    assert run("coco", *named(annotations, results), *NONE) == 0
    assert capsys.readouterr().err == ""
    (part := results.with_name("part.json")).write_text(json.dumps(json.loads(results.read_text())[:1]))
    assert run("coco", *named(annotations, results), "--against", str(part), *NONE) == 0
    said = f"{part} has predictions in 1 of the 3 images with people; everybody in the others counts as missed"
    assert capsys.readouterr().err.splitlines() == [f"note: {said}"]


def test_without_pycocotools_the_numbers_say_so(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    words = ("coco", *named(*files), *NONE)
    assert run(*words) == 0
    said, *table = capsys.readouterr().out.splitlines()
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    assert run(*words) == 0
    assert capsys.readouterr().out.splitlines() == [said.replace("by pycocotools", "by the own engine"), *table]
    assert run(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "own"


def test_mpii_is_scored_at_three_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trap of section 9: what HRNet prints as 0.1 is 0.11."""
    variables = truth_variables(6)
    truth = write(tmp_path / "gt_valid.mat", variables)
    heads = np.linalg.norm(variables["headboxes_src"][1] - variables["headboxes_src"][0], axis=0) * 0.6
    found = variables["pos_gt_src"].transpose(2, 0, 1).copy()
    found[:, :, 0] += 0.105 * heads[:, None]  # pred.mat and gt_valid.mat both count from 1
    predictions = write(tmp_path / "pred.mat", {"preds": found})
    assert run("mpii", "--truth", str(truth), "--predictions", str(predictions), "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert [scores[f"pckh@{at}"]["mean"] for at in ("0.5", "0.1", "0.11")] == [100, 0, 100]
    assert run("mpii", "--truth", str(truth), "--predictions", str(predictions), *NONE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "6 of 6 people scored, heads from boxes; percent"
    assert [line.split()[-1] for line in lines[1:]] == [
        "size",
        "mean",
        "100.0",
        "size",
        "mean",
        "0.0",
        "0.1",
        "mean",
        "100.0",
    ]


# Intervals


def two_files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Annotations of 40 images, results, and worse ones: each joint some pixels further away."""
    truth, rows = made_up(9, 40, 5, 8, tied=False, lattice=False)
    rows = [{**one, "keypoints": np.clip(one["keypoints"], -1e6, 1e6).tolist()} for one in rows]
    rows = [one for one in rows if one["category_id"] == 1]
    for number, one in enumerate(truth["annotations"], 1):
        labelled = sum(flag > 0 for flag in one["keypoints"][2::3])
        one.update(id=number, category_id=1, num_keypoints=labelled, bbox=[1, 1, 50, 50])
    worse = [{**one, "keypoints": [value + 9 for value in one["keypoints"]]} for one in rows]
    paths = [tmp_path / f"{name}.json" for name in ("annotations", "better", "worse")]
    for path, value in zip(paths, (truth, rows, worse), strict=True):
        path.write_text(json.dumps(value))
    return paths[0], paths[1], paths[2]


def test_intervals_hold_the_numbers_and_a_seed_decides_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    annotations, results, _ = two_files(tmp_path)
    words = ("coco", *named(annotations, results), "--resamples", "200", "--json")
    found = []
    for seed in ("0", "0", "1"):
        assert run(*words, "--seed", seed) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert found[0]["intervals"]["of"] != found[2]["intervals"]["of"]
    said = {name: found[0]["intervals"][name] for name in ("level", "resamples", "seed", "over", "units")}
    assert said == {"level": 0.95, "resamples": 200, "seed": 0, "over": "images", "units": 40}
    for name in NAMES:
        low, high = found[0]["intervals"]["of"][name]
        assert 0 <= low < found[0][name] < high <= 1
    assert run("coco", *named(annotations, results), "--resamples", "200") == 0
    _, names, numbers, low, high, last = capsys.readouterr().out.splitlines()
    ends = [100 * end for end in found[0]["intervals"]["of"]["AP"]]
    assert [low.split()[:2], high.split()[:2]] == [["from", f"{ends[0]:.1f}"], ["to", f"{ends[1]:.1f}"]]
    assert names.split() == [*NAMES]
    assert numbers.split()[0] == f"{100 * found[0]['AP']:.1f}"
    assert (
        last == "intervals of 95 % from 200 resamples of the 40 images, seed 0; of fewer than 200 they are too narrow"
    )


def test_two_files_are_compared_with_the_same_resamples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotations, results, worse = two_files(tmp_path)
    words = ("coco", *named(annotations, results), "--against", str(worse), "--resamples", "100")
    assert run(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert run("coco", *named(annotations, worse), "--resamples", "100", "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert found["against"] == alone
    for name in NAMES:
        one = found["differences"][name]
        assert one["difference"] == found[name] - alone[name]
        assert one["low"] <= one["difference"] <= one["high"]
        assert one["excludes_0"] == (one["low"] > 0 or one["high"] < 0)
    assert found["differences"]["AP"]["excludes_0"]
    assert run(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:7]] == ["results", "against", "difference", "from", "to"]
    assert lines[4].split()[1] == f"{100 * found['differences']['AP']['difference']:+.1f}"
    assert lines[7] == f"difference of {results} from {worse}"
    assert lines[8].startswith("  higher, the interval excludes 0: AP, ")


def test_a_file_against_itself_is_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotations, results, _ = two_files(tmp_path)
    words = ("coco", *named(annotations, results), "--against", str(results))
    assert run(*words, "--resamples", "100") == 0
    *_, said, last = capsys.readouterr().out.splitlines()
    assert said == f"  undecided, it contains 0: {', '.join(NAMES)}"
    assert last.startswith("intervals of 95 % from 100 resamples")
    assert run(*words, *NONE) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        "results",
        "against",
        "difference",
    ]


def test_of_few_images_intervals_are_too_narrow_and_a_wrong_number_is_one_line(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("coco", *named(*files), "--resamples", "100") == 0
    assert capsys.readouterr().out.endswith(
        "resamples of the 3 images, seed 0; of fewer than 200 they are too narrow\n"
    )
    assert run("coco", *named(*files), "--resamples", "1") == 1
    assert capsys.readouterr().err == (
        "error: an interval takes at least 100 resamples, not 1; give --resamples 1000, or 0 for no intervals\n"
    )


def test_mpiis_intervals_are_of_images_where_they_are_known_else_of_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = people(40, images=8)
    annotations = tmp_path / "valid.json"
    annotations.write_text(json.dumps(entries))
    truth = write(tmp_path / "gt_valid.mat", truth_of(entries))
    exact = np.array([entry["joints"] for entry in entries])
    spread = np.random.default_rng(0).normal(0, 30, exact.shape)
    answers = [write(tmp_path / f"{name}.mat", {"preds": exact + spread * by}) for name, by in (("a", 0.5), ("b", 2))]
    for file, over, units in ((annotations, "images", 8), (truth, "people", 40)):
        words = ("mpii", "--truth", str(file), "--predictions", str(answers[0]), "--resamples", "100")
        assert run(*words, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["intervals"]["over"], found["intervals"]["units"]) == (over, units)
        low, high = found["intervals"]["of"]["pckh@0.5"]["mean"]
        assert low < found["pckh@0.5"]["mean"] < high
        assert run(*words, "--against", str(answers[1]), "--json") == 0
        compared = json.loads(capsys.readouterr().out)
        assert compared["intervals"] == found["intervals"]
        assert compared["differences"]["pckh@0.5"]["mean"]["low"] > 0
        assert run(*words, "--against", str(answers[1])) == 0
        lines = capsys.readouterr().out.splitlines()
        assert f"  higher, the interval excludes 0: {', '.join(lines[2].split())}" in lines
        assert f"resamples of the {units} {over}, seed 0" in lines[-1]


def test_another_file_of_other_people_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = truth_variables(6)
    truth = write(tmp_path / "gt_valid.mat", variables)
    right = write(tmp_path / "pred.mat", {"preds": variables["pos_gt_src"].transpose(2, 0, 1)})
    other = write(tmp_path / "other.mat", {"preds": np.ones((5, 16, 2))})
    assert run("mpii", "--truth", str(truth), "--predictions", str(right), "--against", str(other)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"error: {other}: preds: has 5 people, {truth} has 6; predict that split"
