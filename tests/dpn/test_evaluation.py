"""A network that is right scores 1, also when it was stopped, and what the number depends on is told."""

import json
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dpn import evaluation, scoring
from dpn.data.people import DataSet
from dpn.data.problems import DataError
from dpn.data.subset import first_images, first_people
from dpn.evaluation import Evaluation, evaluate
from dpn.kept_predictions import kept
from dpn.metrics import coco, coco_results, pckh
from dpn.network_names import Network
from dpn.network_output import OutputError
from dpn.protocols import protocol
from dpn.runtime import Runtime
from dpn.scoring import headline
from tests.dpn import dotted
from tests.dpn.dotted import coco_set, mpii_set

HW = (128, 96)
DPN = protocol("dpn", "coco")


def dots() -> Network:
    return Network(name="tests.dpn.dotted:coco", net=dotted.coco())


def run(data: DataSet, network: Network | None = None, results: Path | None = None, **runtime: int) -> Evaluation:
    return evaluate(network or dots(), data, DPN, HW, Runtime(**runtime), results=results)


# Scores


@pytest.mark.parametrize("codec", ["quarter", "dark", "udp"])
@pytest.mark.parametrize("flip", [True, False])
def test_a_network_that_sees_every_joint_scores_1(codec: str, flip: bool) -> None:
    """From drawn images through crops, colours, both passes, decoding and scoring; at the size of the publications."""
    known = replace(DPN, codec=codec, flip_test=flip)
    found = evaluate(dots(), coco_set(2), known)
    assert found.input_hw == (256, 192)
    assert found.scores is not None
    assert headline(found.scores) == ("AP", 1.0)
    assert found.shift_flipped == (flip and codec != "udp")


def test_bgr_would_not() -> None:
    """Trap: SimpleBaseline's colours, given to a network of the others."""
    found = evaluate(dots(), coco_set(2), protocol("sbl", "coco"))
    assert found.scores is not None
    assert found.scores["AP"] < 0.5


def test_mpii_scores_100() -> None:
    found = evaluate(Network(name="mpii", net=dotted.mpii()), mpii_set(), protocol("dpn", "mpii"))
    assert found.input_hw == (256, 256)
    assert found.scores is not None
    assert headline(found.scores) == ("PCKh@0.5", 100.0)


def test_stages_count_by_their_last() -> None:
    found = evaluate(Network(name="stages", net=dotted.stages()), coco_set(1), DPN)
    assert found.scores is not None
    assert found.scores["AP"] == 1


def test_what_the_number_depends_on_is_told() -> None:
    found = run(coco_set(2))
    told = json.loads(json.dumps(found.as_dict()))
    assert {key: told[key] for key in ("network", "data", "data_digest", "kind", "boxes", "protocol", "codec")} == {
        "network": "tests.dpn.dotted:coco", "data": "dots", "data_digest": "dots00000002", "kind": "coco",
        "boxes": "truth", "protocol": "dpn coco", "codec": "quarter",
    }  # fmt: skip
    assert told["images_digest"] is None
    assert told["input_hw"] == [128, 96]
    assert (told["flip_test"], told["n_people"], told["n_predicted"], told["precision"]) == (True, 4, 4, "fp32")
    assert (told["spec_digest"], told["weights_sha256"]) == (None, None)
    other = dots()
    with torch.no_grad():
        other.net.weight.fill_(2)  # type: ignore[operator, union-attr]
    assert other.state_digest() != dots().state_digest() == found.state_digest


@pytest.mark.parametrize(("soft", "kept"), [(False, 2), (True, 3)])
def test_soft_suppression_keeps_who_is_like_a_better_one(soft: bool, kept: int, tmp_path: Path) -> None:
    data, results = coco_set(1), tmp_path / "results.json"
    one_twice = replace(data, people=data.people.take([0, 0, 1]))
    found = evaluate(dots(), one_twice, replace(DPN, soft_nms=soft), HW, results=results)
    assert found.soft_nms == soft
    assert len(json.loads(results.read_text())) == kept


# Results files


def test_the_results_file_scores_the_same(tmp_path: Path) -> None:
    data, results = coco_set(2), tmp_path / "folder" / "results.json"
    found = run(data, results=results)
    truth = json.loads(json.dumps(data.truth))
    again = coco.score(truth, coco_results.read_results(results, truth))
    assert found.scores == {name: getattr(again, name) for name in found.scores or ()}
    assert list(results.parent.iterdir()) == [results]


def test_mpiis_results_file_scores_the_same(tmp_path: Path) -> None:
    data, results = mpii_set(), tmp_path / "pred.mat"
    network = Network(name="mpii", net=dotted.mpii())
    found = evaluate(network, data, protocol("dpn", "mpii"), (128, 128), results=results)
    assert pckh.score(data.truth, pckh.read_predictions(results)).as_dict() == found.scores


@pytest.mark.parametrize(
    ("named", "split"),
    [("dots", "test-dev2017"), ("coco test-dev2017", "test-dev2017"), ("coco test2017, first 1 images", "test2017")],
)
def test_a_split_whose_truth_others_keep_gives_an_archive(named: str, split: str, tmp_path: Path) -> None:
    data = replace(coco_set(1), truth=None, name=named)
    with pytest.raises(DataError, match="has no truth to score against; give --results FILE"):
        run(data)
    found = run(data, results=tmp_path / "results.json")
    assert found.scores is None
    (archive,) = tmp_path.glob("*.zip")
    name = f"person_keypoints_{split}_tests-dpn-dotted-coco_results"
    assert archive.stem == name
    with zipfile.ZipFile(archive) as file:
        assert file.namelist() == [f"{name}.json"]
        assert file.read(f"{name}.json") == (tmp_path / "results.json").read_bytes()


# Stopped and started again


def stopped(data: DataSet, results: Path, after: int) -> None:
    def stop(finished: int, of: int) -> None:
        assert of == len(data)
        if finished >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(dots(), data, DPN, HW, Runtime(batch=2), results=results, done=stop)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, results = coco_set(4), tmp_path / "results.json"
    whole = run(data, results=tmp_path / "whole.json", batch=2)
    stopped(data, results, after=4)
    assert not results.exists()
    told: list[int] = []
    found = evaluate(
        dots(), data, DPN, HW, Runtime(batch=2), results=results, done=lambda finished, _: told.append(finished)
    )
    assert found.n_predicted == 4
    assert told == [4, 6, 8]
    said = "note: 4 of 8 people were kept by a run that was stopped; this one goes on from there\n"
    assert capsys.readouterr().err == said
    assert found.scores == whole.scores
    assert results.read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.json", "whole.json"]


def test_where_nobody_was_predicted_nothing_is_kept(tmp_path: Path) -> None:
    stopped(coco_set(2), tmp_path / "results.json", after=0)
    assert not list(tmp_path.iterdir())


def test_a_torn_row_is_predicted_again(tmp_path: Path) -> None:
    data, results = coco_set(2), tmp_path / "results.json"
    stopped(data, results, after=2)
    (keeping,) = tmp_path.iterdir()
    keeping.write_bytes(keeping.read_bytes()[:-5])
    found = run(data, results=results, batch=2)
    assert found.n_predicted == 3
    assert found.scores == run(data).scores


def test_what_the_system_takes_in_parts_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, results, row = os.write, tmp_path / "results.json", np.arange(6.0).reshape(1, 2, 3)
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    with kept(results, {"a": 1}, 2) as first:
        first.add(row)
    with kept(results, {"a": 1}, 2) as again:
        np.testing.assert_array_equal(again.rows, row)


@pytest.mark.parametrize("what", ["weights", "code", "data", "images", "input", "protocol", "device", "precision"])
def test_another_question_starts_afresh_and_the_first_goes_on_when_it_is_asked_again(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, network, results = coco_set(2), dots(), tmp_path / "results.json"
    stopped(data, results, after=2)
    (keeping,) = tmp_path.iterdir()
    known, hw, runtime = DPN, HW, Runtime()
    if what == "code":
        monkeypatch.setattr(evaluation, "code_digest", lambda *_: "another")
    elif what == "weights":
        with torch.no_grad():
            network.net.weight.fill_(1.5)  # type: ignore[operator, union-attr]
    elif what == "data":
        data = replace(data, digest="another")
    elif what == "images":
        monkeypatch.setattr(DataSet, "images_digest", "another")
        data = coco_set(2)
    elif what == "input":
        hw = (256, 192)
    elif what == "protocol":
        known = replace(DPN, flip_test=False)
    elif what == "device":
        monkeypatch.setattr(evaluation._Run, "device", "another")
    else:
        runtime = Runtime(precision="bf16")
    found = evaluate(network, data, known, hw, runtime, results=results)
    assert found.n_predicted == 4
    assert f"note: {keeping} keeps what was predicted of another network, data or option; " in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [keeping, results]
    monkeypatch.undo()
    assert run(coco_set(2), results=results).n_predicted == 2
    assert list(tmp_path.iterdir()) == [results]


def test_how_people_are_suppressed_is_no_other_question(tmp_path: Path) -> None:
    data, results = coco_set(2), tmp_path / "results.json"
    stopped(data, results, after=2)
    found = evaluate(dots(), data, replace(DPN, soft_nms=True), HW, Runtime(batch=2), results=results)
    assert (found.soft_nms, found.n_people, found.n_predicted) == (True, 4, 2)


def test_two_evaluations_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with kept(path, {"a": 1}, 2) as first:
        first.add(np.arange(12.0).reshape(2, 2, 3))
        with pytest.raises(OSError, match="another evaluation is writing it"), kept(path, {"a": 1}, 2):
            pass
    with kept(path, {"a": 2}, 2) as other:
        assert len(other.rows) == 0
    with kept(path, {"a": 1}, 2) as again:
        np.testing.assert_array_equal(again.rows, np.arange(12.0).reshape(2, 2, 3))
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:3])
    with kept(path, {"a": 1}, 2) as torn:
        assert len(torn.rows) == 0
        torn.add(again.rows)
    assert first.path.read_bytes() == whole


# What cannot be evaluated is found out first


def test_a_network_of_other_joints_is_refused_before_images_are_read(tmp_path: Path) -> None:
    data = coco_set(1, broken="000000000001.png")
    network = Network(name="fourteen", net=dotted.fourteen())
    with pytest.raises(OutputError, match="14 heatmaps and this data 17 joints"):
        evaluate(network, data, DPN, results=tmp_path / "results.json")
    assert list(tmp_path.iterdir()) == []


def test_without_pycocotools_the_own_engine_scores_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(coco_set(2)).scores
    assert found is not None
    assert found["engine"] == "pycocotools"
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    assert run(coco_set(2)).scores == {**found, "engine": "own"}


def test_the_engine_may_be_chosen() -> None:
    data = coco_set(2)
    joints = data.people.joints + np.random.default_rng(0).normal(0, 12, data.people.joints.shape)
    keypoints = np.dstack([joints, np.ones(joints.shape[:2])])
    told = scoring.scores_of(data, keypoints, DPN)
    assert told is not None
    assert 0 < told["AP"] < 1
    assert scoring.scores_of(data, keypoints, DPN, engine="own") == {**told, "engine": "own"}


def test_a_folder_is_no_results_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be written; give the path of a file"):
        run(coco_set(1), results=tmp_path)


@pytest.mark.parametrize("closed", ["here", "there"])
def test_results_behind_a_link_need_its_folder_and_the_targets(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    link = tmp_path / "here" / "r.json"
    link.symlink_to(tmp_path / "there" / "r.json")
    monkeypatch.setattr(scoring.os, "access", lambda folder, _: folder.name != closed)
    with pytest.raises(OSError, match=r"here/r\.json cannot be written"):
        scoring.check_before(coco_set(1), link)


def test_a_device_is_no_results_file_and_nothing_is_kept_beside_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is no regular file"):
        run(coco_set(1), results=tmp_path / "pipe")
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


# The first images


def test_the_first_images_are_scored_alone() -> None:
    data = coco_set(3)
    first = first_images(data, 2)
    assert (first.name, len(first), len(first.truth["images"]), len(first.truth["annotations"])) == (
        "dots, first 2 images", 4, 2, 4,
    )  # fmt: skip
    assert first.digest != data.digest
    assert run(first).scores == run(coco_set(2)).scores
    assert len(data.truth["images"]) == 3
    assert len(first_images(data, 99)) == 6
    with pytest.raises(ValueError, match="at least one image is needed, not 0"):
        first_images(data, 0)


@pytest.mark.parametrize("data", [coco_set(3), mpii_set(3)], ids=["coco", "mpii"])
def test_the_first_people_are_scored_alone(data: DataSet) -> None:
    """The third is one of two in an image; who stands beside is not missed."""
    first = first_people(data, 3)
    assert (first.name, len(first)) == (f"{data.name}, first 3 people", 3)
    assert first.digest not in (data.digest, first_people(data, 2).digest)
    assert len(first.truth["annotations"] if data.kind == "coco" else first.truth) == 3
    assert first_people(data, len(data)) is data


def test_images_without_boxes_count_among_the_first() -> None:
    """Otherwise a detector that misses somebody would be forgiven."""
    data = coco_set(3)
    missed = replace(data, people=data.people.take([2, 3, 4, 5]), boxes="detections")
    first = first_images(missed, 2)
    assert first.people.image_ids.tolist() == [2, 2]
    assert [image["id"] for image in first.truth["images"]] == [1, 2]


def test_the_first_images_of_mpii() -> None:
    first = first_images(mpii_set(3), 2)
    assert len(first) == len(first.truth) == 4
    found = evaluate(Network(name="mpii", net=dotted.mpii()), first, protocol("dpn", "mpii"))
    assert found.scores is not None
    assert headline(found.scores)[1] == 100
