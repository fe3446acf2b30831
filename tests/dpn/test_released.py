"""The weights that come with this project: whole, small, on record, and taken where no file is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.evidence import Evidence
from dpn import weight_files
from dpn.data.opening import Asked, open_data
from dpn.drawing import write_png
from dpn.inference import predict as predicted
from dpn.network_names import network
from dpn.program import cli
from dpn.protocols import protocol
from dpn.released import RELEASED, all_released, file_of, released
from dpn.scoring import similarities
from dpn.training.recipes import RELEASED_NETWORK as NAME
from dpn.training.recipes import find
from dpn.verbs.predict import predict
from dpn.verbs.release import release

MOST_BYTES = 3_000_000
VERBS = {"predict": predict, "release": release}


def test_each_file_is_small_and_of_its_recipe() -> None:
    assert list(all_released()) == [NAME]
    for name, own in all_released().items():
        assert own.path.stat().st_size < MOST_BYTES
        assert own.result["digest"] == find(f"released/{name}").digest()
        assert weight_files.load_plain(own.path)["digest"] == own.result["digest"]


def test_the_run_is_on_record_with_the_same_score(committed: Evidence) -> None:
    own = all_released()[NAME]
    found = [
        record for record in committed.store.records
        if record.subject == NAME and record.detail.get("run") == own.result["digest"]
    ]  # fmt: skip
    assert [record.value for record in found] == [own.result["scores"]["score"]]


def test_without_a_file_a_network_has_them_and_says_so() -> None:
    net = network(NAME)
    assert "come with this project" in net.note
    assert net.weights_sha256 == network(NAME, file_of(NAME, RELEASED)).weights_sha256
    assert network(NAME, RELEASED).note == net.note
    assert network(NAME, file_of(NAME, RELEASED)).note == ""


def test_a_file_that_is_named_is_taken(tmp_path: Path) -> None:
    given = tmp_path / "mine.pt"
    assert file_of(NAME, given) == given
    assert released(NAME, given) is None
    with pytest.raises(KeyError, match=f"no weights of dpn4_64 come with this project, only of {NAME}"):
        file_of("dpn4_64", RELEASED)


def test_they_find_people_whom_they_never_saw() -> None:
    net = network(NAME)
    assert net.input_hw
    data = open_data(Asked(data="synthetic:seed=77,images=12", input_hw=net.input_hw))
    found = similarities(data, predicted(net.net, data, protocol("dpn", "coco"), net.input_hw))
    anyhow = similarities(data, data.people.joints[np.roll(np.arange(len(data)), 1)])
    assert found is not None
    assert anyhow is not None
    assert np.nanmean(found) > 0.6 > np.nanmean(anyhow)


def test_predict_works_out_of_the_box(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = open_data(Asked(data="synthetic:seed=77,images=2", input_hw=(256, 192)))
    image = tmp_path / "figure.png"
    write_png(image, data.example(0).image)
    with pytest.raises(SystemExit) as caught:
        cli.run("dpn", "", VERBS, ["predict", NAME, str(image), "--output", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert caught.value.code == 0
    assert said.err.startswith(f"note: {NAME} with the weights that come with this project")
    assert (tmp_path / "out" / "figure.png").is_file()
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())) == 1


def test_release_refuses_what_is_not_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.run("dpn", "", VERBS, ["release", str(tmp_path)])
    assert caught.value.code == 1
    assert "holds no finished run" in capsys.readouterr().err
