"""`python -m dpn errors` on files of annotations and predictions."""

import json
from pathlib import Path

import pytest

from dpn import cli
from dpn.metrics.keypoint_errors import KINDS
from dpn.skeletons import COCO_17
from dpn.verbs.errors import errors
from tests.dpn.metrics.test_keypoint_errors import crowded


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


def test_tables_show_what_json_holds(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert run(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 110
    assert lines[0].startswith(f"{found['people']} people in 20 images; {found['found']} found, ")
    table = {line.split()[0]: line.split()[1:] for line in lines}
    for joint in COCO_17.joints:
        kinds = found["joints"][joint]
        shares = [f"{100 * kinds[kind] / kinds['joints']:.1f}" for kind in KINDS]
        assert table[joint] == [str(kinds["joints"]), *shares, f"{kinds['similarity']:.3f}"]
    for kind, made in found["corrected"].items():
        numbers = [made[name]["AP"] for name in ("alone", "in_order", "alone_exactly", "in_order_exactly")]
        assert table[kind] == [f"{100 * number:.1f}" for number in numbers]
    medium = found["size"]["medium"]
    assert table["medium"][:3] == [
        str(medium["people"]), f"{100 * medium['located'] / medium['people']:.1f}", f"{100 * medium['AR']:.1f}",
    ]  # fmt: skip
    assert [*found["corrected"]] == ["miss", "swap", "inversion", "jitter"]


def test_a_bad_file_is_one_line(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(words[3])
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([{**rows[0], "keypoints": [1.0] * 50}]))
    assert run(*words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: [0].keypoints: ")
