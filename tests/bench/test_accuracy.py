"""Accuracy as a record: everything that it depends on is in the key, and what is there is not measured again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench.machine import environment
from bench.recording.accuracy import EXAMPLES, Question, examples, measure, network_of, record_of, with_truth
from bench.records.record import Record
from bench.records.store import Store
from bench.verbs.accuracy import accuracy
from dpn import evaluation
from dpn.data.opening import Asked, open_data
from dpn.data.pckh_truth import Truth
from dpn.digests import file_digest
from dpn.gpu_products import products
from dpn.inference import predict
from dpn.metrics.pckh import write_predictions
from dpn.network_names import Network
from dpn.program import cli
from dpn.protocols import protocol
from dpn.runtime import Runtime
from tests.dpn import dotted
from tests.dpn.dotted import coco_set, mpii_set, write_folder, write_mpii_folder

Capture = pytest.CaptureFixture[str]
DOTS = "tests.dpn.dotted:coco"


def typed(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.run("bench", "", {"accuracy": accuracy, "x": lambda: None}, ["accuracy", *map(str, words)])
    return int(caught.value.code or 0)


def no_evaluation(*_: object, **__: object) -> None:
    raise AssertionError("it is measured again")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "dots", 2)
    return tmp_path / "dots"


def records(tmp_path: Path) -> list[Record]:
    return Store(tmp_path / "records").records


def test_an_evaluation_becomes_a_record(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    torch.save(dotted.coco().state_dict(), tmp_path / "weights.pth")
    words = (DOTS, "--weights", tmp_path / "weights.pth", "--data", folder, "--device", "cpu", "--records")
    assert typed(*words, tmp_path / "records") == 0
    said = f"ap 100.0 % of {DOTS} on coco dots, truth boxes, 4 people: record added\n"
    assert capsys.readouterr().out == said
    (record,) = records(tmp_path)
    assert (record.metric, record.unit, record.value, record.machine) == ("ap", "share", 1.0, environment.machine())
    assert record.protocol.items() >= {
        "data": "coco dots", "split": "val", "boxes": "truth", "people": 4, "protocol": "dpn coco", "codec": "quarter",
    }.items()  # fmt: skip
    assert record.protocol["input_hw"] == [256, 192]
    assert (record.protocol["flip"], record.protocol["shift"]) == (True, True)
    assert record.protocol["weights"] == f"sha256:{file_digest(tmp_path / 'weights.pth')}"
    ten = {"AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"}
    assert ten <= record.detail["scores"].keys()
    assert (record.detail["people"], record.spec_digest[:7]) == (4, "module-")
    assert record.detail["state_digest"] == Network(name=DOTS, net=dotted.coco()).state_digest()


def test_what_is_there_is_not_measured_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = (DOTS, "--data", folder, "--input", "128x96", "--records", tmp_path / "records")
    assert typed(*words) == 0
    assert typed(*words, "--again") == 0
    assert [record.key() for record in records(tmp_path)] == [records(tmp_path)[0].key()] * 2
    capsys.readouterr()
    monkeypatch.setattr(evaluation, "evaluate", no_evaluation)
    assert typed(*words) == 0
    assert "there already; --again measures it again" in capsys.readouterr().out
    write_folder(tmp_path / "others", 2)
    changes: tuple[tuple[object, ...], ...] = (
        ("--no-flip-test",), ("--codec", "dark"), ("--limit", "1"), ("--protocol", "sbl"),
        ("--images", tmp_path / "others"),
    )  # fmt: skip
    for change in changes:
        with pytest.raises(AssertionError, match="measured again"):
            typed(*words, *change)
    (folder / "000000000002.png").write_bytes((folder / "000000000001.png").read_bytes())
    with pytest.raises(AssertionError, match="measured again"):
        typed(*words)


def question(network: Network, **changes: object) -> Question:
    known = {"network": network, "digest": "d", "data": coco_set(1), "source": "folder", "split": "val",
             "runtime": Runtime(device="cpu"), "protocol": protocol("dpn", "coco"), "input_hw": (128, 96)}  # fmt: skip
    return Question(**(known | changes))  # type: ignore[arg-type]


def test_other_weights_are_another_record() -> None:
    one, other = (Network(name=DOTS, net=dotted.coco()) for _ in range(2))
    assert question(one).key() == question(other).key()
    with torch.no_grad():
        other.net.weight.fill_(2)  # type: ignore[operator, union-attr]
    assert question(one).key() != question(other).key()
    assert question(one).key() != question(one, runtime=Runtime(device="cpu", precision="bf16")).key()


class Noting(nn.Module):
    """Writes attributes when it runs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.H = x.shape[-2]
        return x


def test_what_a_network_notes_of_itself_when_it_runs_is_no_other_question() -> None:
    network = Network(name="noting", net=Noting())
    before = question(network).key()
    network.net(torch.zeros(1, 3, 8, 6))
    assert question(network).key() == before


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_record_names_the_device_that_was_found_and_what_a_gpu_multiplies_in(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(name=DOTS, net=dotted.coco())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    monkeypatch.setattr(environment, "machine", lambda kind: f"machine with {kind}")
    asked, plain = question(network, runtime=Runtime()), question(network, runtime=Runtime(device=device))
    assert asked.of_record()["device"] == device
    assert asked.of_record().get("products") == (products() if device == "cuda" else None)
    assert asked.key() == plain.key()


def test_images_are_told_as_given_or_as_the_folders_own(folder: Path) -> None:
    """The paper's tables take the latter alone; of images in no files nothing is told, or known records were lost."""
    network = Network(name=DOTS, net=dotted.coco())
    own = open_data(Asked(data=str(folder)))
    told = question(network, data=own).of_record()
    assert told.pop("own_images_digest") == own.images_digest is not None
    given = question(network, data=replace(own, images_given=True)).of_record()
    assert given.pop("images_digest") == own.images_digest
    assert told == given
    assert not {"images_digest", "own_images_digest"} & question(network).of_record().keys()


def test_a_network_of_the_zoo_is_known_by_its_definition(tmp_path: Path) -> None:
    from dpn.build import build
    from dpn.zoo import ZOO

    torch.save(build(ZOO["dpn1_32_lite"]).state_dict(), tmp_path / "weights.pth")
    _, digest = network_of("dpn1_32_lite", tmp_path / "weights.pth")
    assert digest == ZOO["dpn1_32_lite"].digest()


def test_mpii_without_its_own_heads_says_so(tmp_path: Path, capsys: Capture) -> None:
    write_mpii_folder(tmp_path / "dots")
    words = ("tests.dpn.dotted:mpii", "--data", tmp_path / "dots", "--device", "cpu", "--records", tmp_path / "records")
    assert typed(*words) == 0
    told = "3 of 4 people scored, heads from points (put gt_valid.mat beside valid.json)"
    assert capsys.readouterr().out.splitlines()[1:] == [told]


def test_mpii_is_a_share_too(tmp_path: Path) -> None:
    asked = question(Network(name="mpii", net=dotted.mpii()), data=mpii_set(), protocol=protocol("dpn", "mpii"),
                     input_hw=(256, 256))  # fmt: skip
    record, fresh = measure(asked, Store(tmp_path))
    assert (record.metric, record.value, fresh) == ("pckh", 1.0, True)
    assert record.detail["scores"]["pckh@0.5"]["joints"]["right_wrist"] == 100
    assert measure(asked, Store(tmp_path)) == (record, False)


def test_the_truth_of_the_test_set_comes_from_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = mpii_set()
    (tmp_path / "truth.mat").write_bytes(b"the file's bytes")
    monkeypatch.setattr(Truth, "from_mat", lambda _: data.truth)
    given = with_truth(data, tmp_path / "truth.mat")
    assert given.truth is data.truth
    assert given.digest != data.digest
    with pytest.raises(ValueError, match="--truth is for MPII"):
        with_truth(coco_set(1), tmp_path / "truth.mat")
    monkeypatch.setattr(Truth, "from_mat", lambda _: mpii_set(1).truth)
    with pytest.raises(ValueError, match=r"is of 2 people, .* of 4; give that split's file"):
        with_truth(data, tmp_path / "truth.mat")


def test_of_synthetic_people_the_first_are_kept_to_look_at() -> None:
    source = "synthetic:seed=3,images=20"
    hw = (64, 48)
    data = open_data(Asked(data=source, input_hw=hw))
    asked = question(Network(name=DOTS, net=dotted.coco()), data=data, source=source, input_hw=hw)
    shown = examples(asked)["examples"]
    again = open_data(Asked(data=shown["data"], split=shown["split"], input_hw=hw))
    keypoints = predict(asked.network.net, data, asked.protocol, hw, asked.runtime)[:EXAMPLES]
    assert np.array(shown["keypoints"]).shape == (EXAMPLES, 17, 3)
    assert np.allclose(shown["keypoints"], keypoints, atol=1e-3)
    assert np.array_equal(again.people.joints[:EXAMPLES], data.people.joints[:EXAMPLES])
    assert examples(question(asked.network)) == {}


def test_without_a_truth_there_is_nothing_to_record() -> None:
    asked = question(Network(name=DOTS, net=dotted.coco()))
    found = evaluation.evaluate(asked.network, asked.data, asked.protocol, asked.input_hw)
    with pytest.raises(ValueError, match="nothing to record"):
        record_of(asked, replace(found, scores=None))
    assert record_of(asked, found).value == (found.scores or {})["AP"]


def test_a_wrong_file_is_one_line(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    write_predictions(tmp_path / "pred.mat", np.zeros((1, 16, 2)))
    for words in (("--weights", "nowhere.pth"), ("--truth", tmp_path / "pred.mat"), ("--records", __file__)):
        assert typed(DOTS, "--data", folder, "--records", tmp_path / "records", *words) == 1
        assert capsys.readouterr().err.count("\n") == 1
