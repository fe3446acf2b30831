"""The verb as its users meet it: numbers with n and interval, files, and one line for every error."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from analysis.effective_fields import erf_inputs
from analysis.effective_fields.erf_metrics import area_ratio, saturated
from analysis.verbs.erf import Asked, erf
from dpn.build import build
from dpn.program import cli
from dpn.spec import replace
from dpn.zoo import ZOO
from tests.analysis.random_networks import Apply

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests.analysis.test_erf_verbs"


def small() -> nn.Module:
    """Two dilated convolutions with batch norm, and a stride."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 4, 3, padding=2, dilation=2)
    )


def falling() -> nn.Module:
    """A DPN of two blocks."""
    return build(replace(ZOO["dpn1_32_lite"], dilations=(2, 1)))


def rising() -> nn.Module:
    """Its twin, which differs in the order of its dilations alone."""
    return build(replace(ZOO["dpn1_32_lite"], dilations=(1, 2)))


def trained() -> nn.Module:
    """One of them that has seen images."""
    net = falling()
    with torch.no_grad():
        net.train()(torch.ones(2, 3, 64, 48))
    return net


def askew() -> nn.Module:
    """Looks three and four positions to the right."""
    net = nn.Conv2d(3, 1, 9, padding=4)
    nn.init.zeros_(net.weight)
    nn.init.ones_(net.weight[:, :, 4, 7:])
    return net


class _Slow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.1)
        return self.conv(x)  # type: ignore[no-any-return]


def slow() -> nn.Module:
    """Takes long enough to be interrupted."""
    print("built", flush=True)
    return _Slow()


def answer(capsys: pytest.CaptureFixture[str], asked: Asked, name: str = f"{HERE}:small", **rest: Any) -> list[Any]:
    erf(name, asked, as_json=True, **rest)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_numbers_files_and_what_they_are_of(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asked = Asked(input="32x24", images=6, to="input,1", seeds=3, initial="calibrated")
    found = answer(capsys, asked, out=tmp_path / "made")
    assert [(one["of"], one["to"], one["map_hw"]) for one in found] == [
        ("output", "input", [32, 24]),
        ("output", "1", [16, 12]),
    ]
    for one in found:
        assert (one["images"], one["n"], one["draws"]) == (6, 3, "initialisations")
        assert one["unit"] == [8, 6]
        maps_file, facts_file = map(Path, one["files"])
        maps = np.load(maps_file, allow_pickle=False)
        assert maps.shape == (18, *one["map_hw"])
        written = json.loads(facts_file.read_text(encoding="utf-8"))
        assert written == {key: value for key, value in one.items() if key != "files"}
        mean, centre = maps.mean(axis=0), (one["centre"][0], one["centre"][1])
        assert one["scalars"]["area_50"]["value"] == area_ratio(mean, 0.5, centre)
        assert one["saturated"] == saturated(mean)
        assert all(scalar["n"] == 3 for scalar in one["scalars"].values())
        assert len(one["convergence"]) == 18
        assert one["radial_mass"][-1] == pytest.approx(1)
    assert found[0]["centre"] == [16, 12]
    assert sorted(path.suffix for path in (tmp_path / "made").iterdir()) == [".json", ".json", ".npy", ".npy"]


def test_what_is_printed_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    erf(f"{HERE}:small", Asked(input="32x24", images=6, unit="3,4", recipe="absolute"))
    first, *rest = capsys.readouterr().out.splitlines()
    assert (
        "unit (3, 4) of output (4 channels, 16x12) in input (3 channels, 32x24), recipe absolute, 6 images (noise)"
        in first
    )
    assert "weights random, given; n = 6 images" in first
    assert [line.split()[0] for line in rest] == [
        "area_20", "area_30", "area_50", "area_99", "sigma_y", "sigma_x", "high_frequency_share", "offset_y",
        "offset_x", "saturated",
    ]  # fmt: skip
    assert all("[" in line for line in rest[:-3])
    erf(f"{HERE}:small", Asked(input="32x24", images=1))
    one = capsys.readouterr().out
    assert "1 image (noise)" in one
    assert "n = 1 image\n" in one
    assert "  one image: no intervals\n" in one
    assert "[" not in one


def test_the_dilations_of_a_factory_s_dpn_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """As it is built nothing but its shortcuts is, and networks of other dilations have the same numbers."""
    asked = Asked(input="64x48", images=1, of="dpm.1", to="conv2")
    (one,), (other,) = (answer(capsys, asked, f"{HERE}:{name}") for name in ("falling", "rising"))
    assert one["weights"] == other["weights"] == "random, calibrated"
    assert abs(one["scalars"]["sigma_y"]["value"] - other["scalars"]["sigma_y"]["value"]) > 0.01


@pytest.mark.parametrize(
    ("name", "initial", "weights", "noted"),
    [
        ("small", None, "given", True), ("small", "given", "given", False), ("small", "he", "he", False),
        ("trained", None, "given", False), ("askew", None, "given", False), ("falling", "given", "given", False),
    ],
)  # fmt: skip
def test_weights_that_nobody_asked_for_are_kept_and_doubted_where_they_are_new(
    name: str, initial: str | None, weights: str, noted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    erf(f"{HERE}:{name}", Asked(input="64x48", images=1, initial=initial))
    told = capsys.readouterr()
    assert f"weights random, {weights};" in told.out
    assert ("--initial calibrated draws others" in told.err) == noted


def test_a_field_that_lies_off_its_unit_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    asked = Asked(input="32x24", images=1)
    erf(f"{HERE}:askew", asked)
    told = capsys.readouterr()
    assert "  offset_x                    3.5  of the centre of mass from the unit; standard dev" in told.out
    assert told.err.startswith("note: the field of output in input lies off its unit")
    (one,) = answer(capsys, asked, f"{HERE}:askew")
    assert (one["offset"], one["spread"]) == ([0, pytest.approx(3.5)], [0, pytest.approx(0.5)])
    erf(f"{HERE}:small", Asked(input="32x24", images=1, initial="he"))
    assert capsys.readouterr().err == ""


def channels_last() -> nn.Module:
    """A block that keeps its map channels last, as those of Swin do, and a head that takes it as others do."""
    last, first = Apply(lambda x: x.permute(0, 2, 3, 1)), Apply(lambda x: x.permute(0, 3, 1, 2))
    return nn.Sequential(nn.Conv2d(3, 8, 4, 4), last, nn.Linear(8, 8), first, nn.Conv2d(8, 2, 1))


def test_a_map_that_lies_otherwise_is_never_told_of_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    erf(f"{HERE}:channels_last", Asked(input="32x24", images=1, of="2", to="0"))
    told = capsys.readouterr()
    assert "unit (3, 4) of 2 (8 channels, 6x8) in 0 (8 channels, 8x6), recipe" in told.out
    assert told.err.startswith("note: taken for (B, C, H, W), though the tracer cannot confirm it: 2 (")
    assert "0 (" not in told.err


def test_maps_that_the_tracer_cannot_follow_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    name, asked = "tests.bench.networks:with_fourier_transform", Asked(input="16x12", images=1, to="conv")
    (one,) = answer(capsys, asked, name)
    assert (one["of_shape"], one["to_shape"]) == ([4, 16, 7], [4, 16, 12])
    assert list(one["untraced"]) == ["output"]
    assert one["untraced"]["output"].startswith("_fft_r2c in the network")
    erf(name, asked)
    said = "note: taken for (B, C, H, W), though the tracer cannot confirm it: output (_fft_r2c in the network"
    assert capsys.readouterr().err.startswith(said)
    erf(f"{HERE}:channels_last", Asked(input="32x24", images=1, of="0"))
    assert capsys.readouterr().err == ""


def reading_values() -> nn.Module:
    """Its forward pass reads a value, so it does not run without data."""
    return Apply(lambda x: x if x.mean() > 9 else 2 * x)


def test_maps_of_what_runs_with_data_alone_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = answer(capsys, Asked(input="32x24", images=1), f"{HERE}:reading_values")
    assert one["untraced"] == {"output": "no such map comes out of a pass without data"}


def test_trained_weights_from_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Weights that look one position to the right."""
    net = small()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    nn.init.ones_(net.get_parameter("0.weight")[:, :, 1, 2])
    nn.init.ones_(net.get_parameter("1.weight"))
    nn.init.ones_(net.get_parameter("1.bias"))
    nn.init.ones_(net.get_parameter("3.weight")[:, :, 1, 1])
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    asked = Asked(input="32x24", images=4, weights=tmp_path / "weights.pth", unit="5,6")
    (one,) = answer(capsys, asked, out=tmp_path)
    assert one["weights"] == str(tmp_path / "weights.pth")
    seen = np.argwhere(np.load(one["files"][0]).mean(axis=0))
    assert seen.tolist() == [[10, 13]]


def test_images_from_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(values).save(tmp_path / f"{number}.png")
    (one,) = answer(capsys, Asked(input="32x24", source=str(tmp_path)))
    assert (one["images"], one["n"], one["draws"]) == (3, 3, "images")
    assert one["source"] == erf_inputs.Folder(tmp_path).name
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1\.png cannot be decoded"):
        erf(f"{HERE}:small", Asked(input="32x24", source=str(tmp_path)))


def test_a_network_of_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = answer(capsys, Asked(input="64x48", images=2, of="dpm.1"), "dpn1_32")
    assert one["weights"] == "random, calibrated"
    assert one["spec_digest"]
    assert (one["unit"], one["centre"], one["map_hw"]) == ([4, 3], [32, 24], [64, 48])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(unit="3"), "--unit is ROW,COLUMN"),
        (Asked(seeds=0), "--seeds 0: at least one of each"),
        (Asked(images=0), "--images 0"),
        (Asked(recipe="cubed"), "no recipe named 'cubed'"),
        (Asked(source="nowhere"), "nowhere is no folder"),
        (Asked(weights=Path("none.pth"), seeds=2), "leave --initial and --seeds out"),
        (Asked(weights=Path("none.pth")), "none.pth does not exist"),
        (Asked(of="nowhere", images=1), "no map named 'nowhere'"),
        (Asked(initial="xavier", images=1), "no weights named 'xavier'"),
    ],
)
def test_errors_name_what_is_wrong(asked: Asked, said: str) -> None:
    with pytest.raises((ValueError, KeyError)) as error:
        erf(f"{HERE}:small", Asked(**{**vars(asked), "input": "32x24"}))
    assert said in cli.message(error.value)


def test_images_that_would_fill_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erf_inputs, "MOST_BYTES", 12 * 32 * 24)
    with pytest.raises(ValueError, match=r"2 images of 32x24 .* give fewer --images"):
        erf(f"{HERE}:small", Asked(input="32x24", images=2))


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    with pytest.raises(ValueError, match="is a file; name a folder"):
        erf(f"{HERE}:small", Asked(input="32x24", images=1), out=tmp_path / "file")


def started(*arguments: str) -> "subprocess.Popen[str]":
    # A shell's background job ignores Ctrl-C, and so does all that it starts: here it must not.
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    verbs = "from dpn.program import cli; from analysis.verbs.erf import erf"
    code = f"{listen}; {verbs}; cli.run('p', 'd', {{'erf': erf, 'other': print}})"
    command = [sys.executable, "-c", code, "erf", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_line_and_an_interruption(tmp_path: Path) -> None:
    """Ctrl-C in the middle: exit code 130, one line, and no half-written files."""
    arguments = ("--input", "32x24", "--images", "500", "--batch", "1", "--out", str(tmp_path / "out"))
    process = started(f"{HERE}:slow", *arguments)
    assert process.stderr is not None
    assert process.stderr.readline() == "built\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    *built, line = errors.splitlines()
    assert set(built) <= {"built"}
    assert line.startswith("error: stopped")
    assert not (tmp_path / "out").exists()


def test_options_have_their_short_names() -> None:
    arguments = ("--input", "16x12", "--images", "2", "--unit", "3,2", "--of", "0", "--recipe", "replknet", "--json")
    process = started(f"{HERE}:small", *arguments)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert json.loads(out)["unit"] == [3, 2]
