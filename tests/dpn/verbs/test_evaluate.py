"""The verbs evaluate, oracle and predict, as typed: what they print, their exit codes, one line for every error."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dpn import evaluation
from dpn.build import build
from dpn.digests import file_digest
from dpn.factories import NetworkError
from dpn.input_size import parse_hw
from dpn.network_names import Network, network
from dpn.program import cli
from dpn.verbs.evaluate import evaluate, oracle
from dpn.verbs.export import export
from dpn.verbs.predict import predict
from dpn.verbs.score import SCORE
from dpn.zoo import lookup
from tests.dpn import dotted
from tests.dpn.dotted import write_folder, write_mpii_folder

Capture = pytest.CaptureFixture[str]
DOTS = "tests.dpn.dotted:coco"
UNDRAWN = ("--resamples", 0)


def typed(*words: object) -> int:
    verbs = {"evaluate": evaluate, "oracle": oracle, "predict": predict, "score": SCORE}
    with pytest.raises(SystemExit) as caught:
        cli.run("dpn", "", verbs, [str(word) for word in words])
    return int(caught.value.code or 0)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "dots", 2)
    return tmp_path / "dots"


@pytest.fixture(name="weights")
def _weights(tmp_path: Path) -> Path:
    torch.save(dotted.coco().state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_evaluate_says_what_it_found(folder: Path, weights: Path, capsys: Capture) -> None:
    assert typed("evaluate", DOTS, "--weights", weights, "--data", folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["AP"] == 1
    assert (told["network"], told["split"], told["boxes"]) == (DOTS, "val", "truth")
    assert told["device"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert told["weights_sha256"] == file_digest(weights)
    assert typed("evaluate", DOTS, "--data", folder, "--no-flip-test", "--codec", "dark", "--limit", 1) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "protocol dpn (RGB images), dark codec, without flip test" in lines[0]
    assert "first 1 images" in lines[0]
    assert lines[1] == "2 people in 1 images by pycocotools; percent, - where there is nobody to find"
    assert [line.split()[0] for line in lines[2:6]] == ["AP", "100.0", "from", "to"]
    assert lines[-1].endswith(f" s on {told['device']} (no latency)")


DRAWS = ("--resamples", 100, "--seed", 3)


def both(words: tuple[object, ...], score: tuple[object, ...], capsys: Capture) -> tuple[list[str], list[str]]:
    """What evaluate prints with these draws, and what score prints of the results file that it wrote."""
    assert typed("evaluate", *words, *DRAWS) == 0
    found = capsys.readouterr().out.splitlines()
    assert typed("score", *score, *DRAWS) == 0
    return found, capsys.readouterr().out.splitlines()


def test_evaluate_has_the_intervals_that_score_has_of_its_results(tmp_path: Path, capsys: Capture) -> None:
    write_folder(tmp_path / "dots", 6)
    (file,) = (tmp_path / "dots").glob("*.json")
    content = json.loads(file.read_text())
    for one in content["annotations"][:5]:
        one["keypoints"][::3] = [x + 12 for x in one["keypoints"][::3]]
    file.write_text(json.dumps(content))
    results = tmp_path / "results.json"
    words = (DOTS, "--data", tmp_path / "dots", "--results", results)
    score = ("coco", "--annotations", file, "--results", results)
    found, alone = both(words, score, capsys)
    assert found[1 : 1 + len(alone)] == alone
    assert alone[-1].startswith("intervals of 95 % from 100 resamples of the 6 images, seed 3")
    (told,), (known,) = both((*words, "--json"), (*score, "--json"), capsys)
    intervals = json.loads(told)["intervals"]
    assert intervals == json.loads(known)["intervals"]
    low, high = intervals["of"]["AP"]
    assert low < json.loads(told)["scores"]["AP"] < high


def test_mpiis_intervals_are_of_images_and_estimated_heads_are_said(tmp_path: Path, capsys: Capture) -> None:
    file = write_mpii_folder(tmp_path / "dots", 3)
    results = tmp_path / "pred.mat"
    words = ("tests.dpn.dotted:mpii", "--data", tmp_path / "dots", "--results", results)
    found, (said, *rest) = both(words, ("mpii", "--truth", file, "--predictions", results), capsys)
    assert said == "5 of 6 people scored, heads from points; percent"
    assert found[1] == "5 of 6 people scored, heads from points (put gt_valid.mat beside valid.json); percent"
    assert found[2 : 2 + len(rest)] == rest
    assert rest[-1].startswith("intervals of 95 % from 100 resamples of the 3 images, seed 3")


def test_without_resamples_evaluate_has_no_intervals(folder: Path, capsys: Capture) -> None:
    words = ("evaluate", DOTS, "--data", folder, *UNDRAWN)
    assert typed(*words, "--json") == 0
    assert not {"intervals", "keypoints"} & json.loads(capsys.readouterr().out).keys()
    assert typed(*words) == 0
    assert "\nfrom " not in capsys.readouterr().out


def test_ctrl_c_while_intervals_are_drawn_loses_no_score(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:  # fmt: skip
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dpn.verbs.score.uncertainty", stop)
    assert typed("evaluate", DOTS, "--data", folder, "--json") == 130
    said = capsys.readouterr()
    assert json.loads(said.out)["scores"]["AP"] == 1
    assert said.err == "note: stopped before there were intervals; --resamples 0 leaves them out\n"


@pytest.mark.parametrize("products", ["tf32", "ieee"])
@pytest.mark.parametrize(("device", "precision"), [("cuda", "fp32"), ("cuda", "bf16"), ("cpu", "fp32")])
def test_evaluate_says_what_a_gpu_multiplied_in(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, products: str, device: str, precision: str
) -> None:
    monkeypatch.setattr(evaluation._Run, "device", device)
    monkeypatch.setattr("dpn.gpu_products.products", lambda: products)
    words = ("evaluate", DOTS, "--data", folder, "--limit", 1, "--device", "cpu", "--precision", precision, *UNDRAWN)
    assert typed(*words) == 0
    shown = f"\nfp32 convolutions were multiplied in {products}\n" in capsys.readouterr().out
    assert shown is ((device, precision) == ("cuda", "fp32"))
    assert typed(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["products"] == (products if shown else None)


def test_true_boxes_of_coco_score_no_published_ap(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    told = "ground-truth boxes: not comparable with published AP, which takes --boxes detections"
    assert typed("evaluate", DOTS, "--data", folder) == 0
    assert told in capsys.readouterr().out.splitlines()
    people = json.loads((folder / "dots.json").read_text())["annotations"]
    rows = [{name: one[name] for name in ("image_id", "category_id", "bbox")} | {"score": 0.9} for one in people]
    (tmp_path / "boxes.json").write_text(json.dumps(rows))
    detected = ("--data", folder, "--boxes", "detections", "--detections", tmp_path / "boxes.json")
    for words in (detected, ("--data", "synthetic:images=1")):
        assert typed("evaluate", DOTS, *words, *UNDRAWN) == 0
        said = capsys.readouterr().out
        assert said.splitlines()[2].split()[0] == "AP"
        assert told not in said


def test_soft_suppression_is_asked_for_and_said(folder: Path, capsys: Capture) -> None:
    assert typed("evaluate", DOTS, "--data", folder, "--soft-nms") == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(", soft suppression")
    assert typed("evaluate", DOTS, "--data", "synthetic-mpii:images=1", "--soft-nms") == 1
    assert capsys.readouterr().err == "error: nobody is suppressed in MPII's scoring; leave out --soft-nms\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dpn1_32"], "dpn1_32 knows nothing without weights"),
        (["dpn1_23", "--weights", "x"], "no network named 'dpn1_23'; the nearest names are"),
        ([DOTS, "--weights", "nowhere.pth"], "nowhere.pth does not exist or is not a file"),
        (["tests.dpn.dotted:nothing"], "'tests.dpn.dotted' has no 'nothing'"),
        (["tests.dpn.dotted:mpii"], "16 heatmaps and this data 17 joints"),
        ([DOTS, "--protocol", "hrnnet"], "did you mean hrnet?"),
        ([DOTS, "--input", "256"], "an input size is HEIGHTxWIDTH"),
        ([DOTS, "--device", "abacus"], "no device 'abacus' here"),
        ([DOTS, "--batch", "0"], "a batch is at least 1"),
        ([DOTS, "--batch", "99999999999999999999"], "at most 1,024, not 99999999999999999999; give another"),
        ([DOTS, "--workers", "99999"], "99999 processes cannot work; give --workers 0"),
        ([DOTS, "--input", "9992x7494"], "an input of 9992x7494 is more than 2,048 px on a side"),
        ([DOTS, "--limit", "0"], "at least one image is needed"),
        ([DOTS, "--device", "meta"], "no device 'meta' here"),
        ([DOTS, "--input", "4x4", "--codec", "udp"], "udp needs heatmaps of 2 x 2 pixels"),
        ([DOTS, "--detections", "boxes.json"], "ask for --boxes detections"),  # they would have been passed over
        ([DOTS, "--split", "nosuch"], "has no split 'nosuch'"),
    ],
)
def test_an_error_of_evaluate_is_one_line(words: list[str], message: str, folder: Path, capsys: Capture) -> None:
    assert typed("evaluate", *words, "--data", folder) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_is_not_there_is_one_line(capsys: Capture) -> None:
    assert typed("evaluate", DOTS, "--data", "nowhere") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_says_whether_anything_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "scores_of", stop)
    assert typed("evaluate", DOTS, "--data", folder) == 130
    assert "give --results FILE to keep what is predicted" in capsys.readouterr().err
    assert typed("evaluate", DOTS, "--data", folder, "--results", tmp_path / "r.json") == 130
    assert "what was finished is kept" in capsys.readouterr().err


def test_oracle_passes_and_its_exit_code_says_so(folder: Path, capsys: Capture) -> None:
    assert typed("oracle", "--data", folder, "--input", "256x192", "128x96") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 12
    assert all(line.endswith(("  perfect", "perfect but for rounding")) for line in lines[2:])
    assert typed("oracle", "--data", folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["codec"] for one in told] == ["quarter", "quarter", "dark", "dark", "udp", "udp"]
    assert all(one["scores"]["AP"] == 1 for one in told)


def test_an_input_that_would_fill_the_memory_is_no_question_to_the_oracle(folder: Path, capsys: Capture) -> None:
    assert typed("oracle", "--data", folder, "--input", "9992x7494") == 1
    assert "more than 2,048 px on a side" in capsys.readouterr().err


def test_oracle_fails_where_the_data_is_wrong(folder: Path, capsys: Capture) -> None:
    """Segment areas in another unit: every joint is where it should be, and no person is found."""
    (file,) = folder.glob("*.json")
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        annotation["area"] /= 1000
    file.write_text(json.dumps(content))
    assert typed("oracle", "--data", folder) == 1
    told = capsys.readouterr()
    assert "NOT PERFECT" in told.out
    assert "of 6 scores are not perfect" in told.err


def test_predict_goes_on_after_a_bad_image(folder: Path, weights: Path, tmp_path: Path, capsys: Capture) -> None:
    good, bad = folder / "000000000001.png", folder / "nowhere.png"
    words = ("predict", DOTS, bad, good, "--weights", weights, "--output", tmp_path / "out")
    assert typed(*words) == 1
    told = capsys.readouterr()
    assert told.out == f"{good}: 1 people, drawn in {tmp_path / 'out' / good.name}\n"
    assert told.err.count("\n") == 1
    assert "nowhere.png: there is no such image" in told.err
    assert typed("predict", DOTS, good, "--out", tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tests.dpn.dotted:fourteen", "x.jpg"], "it takes 17 joints"),
        (["dpn1_32", "x.jpg"], "knows nothing without weights"),
        ([DOTS, "x.jpg", "--boxes", "nowhere.json"], "nowhere.json: there is no such file"),
        ([DOTS, "predictions/x.png"], "would take the place of that image"),
        ([DOTS, "x.jpg", "--joint-score", "nan"], "scores to draw above are numbers"),
        ([DOTS, "x.jpg", "--input", "9992x9992"], "an input of 9992x9992 is more than 2,048 px on a side"),
        (["dpn4_32", "x.jpg", "--batch", "0"], "a batch is at least 1"),  # and no note before that
    ],
)
def test_an_error_of_predict_is_one_line(words: list[str], message: str, capsys: Capture) -> None:
    assert typed("predict", *words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_results_file_that_cannot_be_written_is_found_out_first(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").write_text("")
    assert typed("evaluate", DOTS, "--data", folder, "--results", tmp_path / "file" / "r.json") == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'file'}: Not a directory; ")


# Names of networks


def test_a_network_of_the_zoo_with_weights(tmp_path: Path) -> None:
    spec = lookup("dpn1_32")
    torch.manual_seed(1)
    torch.save(build(spec).state_dict(), tmp_path / "weights.pth")
    first, second = (network("dpn1_32", tmp_path / "weights.pth") for _ in range(2))
    assert first.state_digest() == second.state_digest()
    assert (first.input_hw, first.spec) == (spec.input_hw, spec)
    torch.save(build(spec).state_dict(), tmp_path / "other.pth")
    assert network("dpn1_32", tmp_path / "other.pth").state_digest() != first.state_digest()
    assert Network(name="a", net=first.net).state_digest() != first.state_digest()
    assert network("DPN1_32", tmp_path / "other.pth").name == "dpn1_32"


def test_weights_of_simple_baseline_are_told_to_take_bgr_and_no_others() -> None:
    spec = lookup("sbl_r50")
    given = Network(name=spec.name, net=nn.Identity(), spec=spec, weights_sha256="0")
    assert given.note_under("dpn").endswith("take BGR images: for these give --protocol sbl")
    assert given.note_under("sbl") == ""
    assert (
        replace(given, note="ours").note_under("dpn").startswith("ours; weights that SimpleBaseline's authors released")
    )
    for other in (replace(given, weights_sha256=None), replace(given, spec=lookup("dpn1_32"), note="")):
        assert other.note_under("dpn") == ""


def test_a_network_without_weights_asks_for_a_file_in_python_and_at_the_command_line() -> None:
    with pytest.raises(
        NetworkError, match=r"dpn4_64 knows nothing without weights; give a file of weights \(--weights"
    ):
        network("dpn4_64")


@pytest.mark.parametrize("verb", [evaluate, predict, export])
def test_help_and_errors_call_a_network_by_one_name(verb: cli.Verb, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in ((["--help"], "] NETWORK"), ([], "error: NETWORK: must be given")):
        with pytest.raises(SystemExit):
            cli.run("dpn", "", {"verb": verb, "other": oracle}, ["verb", *words])
        assert said in "".join(capsys.readouterr())


def on_meta() -> nn.Module:
    return nn.Conv2d(3, 17, 1, device="meta")


def test_a_network_without_numbers_is_named() -> None:
    name = f"{__name__}:on_meta"
    with pytest.raises(NetworkError, match=f"{name} is on the meta device, without numbers; build it on the CPU"):
        network(name)


class Shy(nn.Conv2d):
    """A layer that cannot say what it is."""

    def extra_repr(self) -> str:
        raise AttributeError("not yet")


def test_a_digest_asks_no_layer_to_describe_itself() -> None:
    torch.manual_seed(0)
    nets = [Shy(3, 4, 1), Shy(3, 4, 1, groups=1, stride=2), Shy(3, 4, 1)]
    for net in nets[1:]:
        net.load_state_dict(nets[0].state_dict())
    first, wider, same = (Network(name="shy", net=net).state_digest() for net in nets)
    assert first == same != wider


def test_input_sizes() -> None:
    assert parse_hw("384x288") == (384, 288)
    for text in ("0x3", "256", "-4x4", "7x", "100000x192", "٢٥٦x192", "256x192\n"):
        with pytest.raises(NetworkError, match="such as 256x192"):
            parse_hw(text)
