"""`python -m dpn score` on files of annotations and predictions."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from dpn import cli
from dpn.metrics.coco import NAMES, score
from dpn.verbs.score import SCORE
from tests.dpn.metrics.made_coco import content, plain, rows_of
from tests.dpn.mpii_files import truth_variables, write


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.run("python -m dpn", "Test.", {"score": SCORE}, ["score", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


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
    assert run("coco", "--annotations", str(annotations), "--results", str(results), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    truth, rows = (json.loads(path.read_text()) for path in files)
    assert found == asdict(score(truth, rows))
    assert [*found] == [*NAMES, "n_images", "n_people", "engine"]
    assert [found[name] for name in NAMES] == [None if value == -1 else value for value in plain(truth, rows)]
    assert (found["APM"], found["n_images"], found["n_people"]) == (None, 3, 3)
    assert found["engine"] == "pycocotools"


def test_without_json_a_table_in_percent(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    annotations, results = files
    assert run("coco", "--annotations", str(annotations), "--results", str(results)) == 0
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


def test_without_pycocotools_the_numbers_say_so(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    words = ("coco", "--annotations", str(files[0]), "--results", str(files[1]))
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
    assert run("mpii", "--truth", str(truth), "--predictions", str(predictions)) == 0
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
