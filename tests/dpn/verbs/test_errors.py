"""`python -m dpn errors` on files of annotations and predictions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dpn.metrics.keypoint_errors import KINDS
from dpn.program import cli
from dpn.skeletons import COCO_17
from dpn.verbs.errors import errors
from dpn.verbs.score import SCORE
from tests.dpn.metrics.test_keypoint_errors import crowded

NONE = ("--resamples", "0")
WAYS = ("alone", "in_order", "alone_exactly", "in_order_exactly")


def line_of(lines: list[str], label: str) -> int:
    """The last line that begins with that word."""
    return max(number for number, line in enumerate(lines) if line.split()[0] == label)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.run("python -m dpn", "Test.", {"errors": errors, "other": print}, ["errors", *words])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    truth, rows = crowded(2, images=20)
    for one in truth["annotations"]:
        one["bbox"] = [max(0.0, value) for value in one["bbox"]]
    for name, value in (("annotations", truth), ("results", rows)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    return "--annotations", str(tmp_path / "annotations.json"), "--results", str(tmp_path / "results.json")


def test_a_file_without_predictions_is_named(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path(words[-1]).write_text("[]")
    assert run(*words, *NONE, "--json") == 0
    assert capsys.readouterr().err.splitlines() == [f"note: {words[-1]} holds no predictions"]


def test_other_categories_are_nobody_and_images_without_predictions_are_told_of(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    annotations, results = Path(words[1]), Path(words[3])
    truth, rows = (json.loads(path.read_text()) for path in (annotations, results))
    people = [one for one in truth["annotations"] if not one["iscrowd"] and one["num_keypoints"]]
    results.write_text(json.dumps([row for row in rows if row["image_id"] == people[0]["image_id"]]))
    truth["categories"].append({"id": 18, "name": "dog"})
    truth["annotations"].append({"id": 999, "image_id": 1, "category_id": 18})
    annotations.write_text(json.dumps(truth))
    assert run(*words, *NONE, "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["people"] == len(people)
    images = len({one["image_id"] for one in people})
    said = (
        f"{results} has predictions in 1 of the {images} images with people; everybody in the others counts as missed"
    )
    assert printed.err.splitlines() == [f"note: {said}"]


def test_tables_show_what_json_holds(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words, *NONE, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "intervals" not in found
    assert run(*words, *NONE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "intervals" not in lines[-1]
    assert lines[0].startswith(f"{found['people']} people in 20 images; {found['found']} found, ")
    table = {line.split()[0]: line.split()[1:] for line in lines}  # of groups the last, with people
    for joint in COCO_17.joints:
        kinds = found["joints"][joint]
        shares = [f"{100 * kinds[kind] / kinds['joints']:.1f}" for kind in KINDS]
        assert table[joint] == [str(kinds["joints"]), *shares, f"{kinds['similarity']:.3f}"]
    for kind, made in found["corrected"].items():
        assert table[kind] == [f"{100 * made[way]['AP']:.1f}" for way in WAYS]
        gains = {way: made[way]["AP"] - found["scores"]["AP"] for way in WAYS}
        assert found["gains"][kind] == gains
        assert lines[line_of(lines, kind) + 1].split() == ["gain", *(f"{100 * gain:+.1f}" for gain in gains.values())]
    medium = found["size"]["medium"]
    assert table["medium"][:3] == [
        str(medium["people"]), f"{100 * medium['located'] / medium['people']:.1f}", f"{100 * medium['AR']:.1f}",
    ]  # fmt: skip
    assert [*found["corrected"]] == ["miss", "swap", "inversion", "jitter"]


def test_intervals_stand_below_their_numbers_as_in_json(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    words = *words, "--resamples", "100", "--seed", "3"
    assert run(*words, "--json") == 0
    drawn = json.loads(capsys.readouterr().out)["intervals"]
    said = {name: drawn[name] for name in ("level", "resamples", "seed", "over", "units")}
    assert said == {"level": 0.95, "resamples": 100, "seed": 3, "over": "images", "units": 20}
    assert run(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert lines[-1] == (
        "intervals of 95 % from 100 resamples of the 20 images, seed 3; of fewer than 200 they are too narrow"
    )

    def below(label: str) -> str:
        return lines[line_of(lines, label) + 1]

    def percent(ends: list[float], sign: str = "", between: str = "-") -> str:
        return between.join(f"{100 * end:{sign}.1f}" for end in ends)

    of = drawn["of"]
    for joint in COCO_17.joints:
        assert below(joint).split() == [percent(of["joints"][joint][kind]) for kind in KINDS]
    assert below("all").split() == [percent(of["total"][kind]) for kind in KINDS]
    assert below("medium").split() == [percent(of["size"]["medium"][name]) for name in ("located", "AR")]
    assert below("as").split() == [percent(of["scores"]["AP"])] * 4
    for kind in ("miss", "swap", "inversion", "jitter"):
        assert below(kind).split() == [percent(of["corrected"][kind][way]["AP"]) for way in WAYS]
        gains = lines[line_of(lines, kind) + 3]
        assert re.findall(r"\S+ to \S+", gains) == [percent(of["gains"][kind][way], "+", " to ") for way in WAYS]
    number, interval = lines[line_of(lines, "nose")], below("nose")
    ends = [[word.end() for word in re.finditer(r"\S+", line)] for line in (number, interval)]
    assert ends[0][2:-1] == ends[1]  # a column ends where its interval does


def test_intervals_are_of_the_draws_that_score_has(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    def said(*more: str) -> Any:
        assert run(*more) == 0
        return json.loads(capsys.readouterr().out)["intervals"]

    asked = *words, "--resamples", "100", "--json"
    found = said(*asked)
    assert said(*asked) == found
    assert said(*asked, "--seed", "1")["of"] != found["of"]
    with pytest.raises(SystemExit):
        cli.run("python -m dpn", "Test.", {"score": SCORE}, ["score", "coco", *asked])
    scored = json.loads(capsys.readouterr().out)["intervals"]
    assert found["of"]["scores"]["AP"] == scored["of"]["AP"]
    assert {name: found[name] for name in scored if name != "of"} == {
        name: value for name, value in scored.items() if name != "of"
    }


def test_too_few_resamples_are_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert run(*words, "--resamples", "5") == 1
    assert capsys.readouterr().err == (
        "error: an interval takes at least 100 resamples, not 5; give --resamples 1000, or 0 for no intervals\n"
    )


def test_a_bad_file_is_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(words[3])
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**rows[0], "keypoints": [1.0] * 50}]))
    assert run(*words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: [0].keypoints: ")
