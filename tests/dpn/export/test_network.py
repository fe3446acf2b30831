"""Files for deployment compute what the project computes, and nothing that does not is kept."""

import json
import logging
import re
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dpn.build import build
from dpn.data.samples import to_input
from dpn.digests import file_digest
from dpn.export import formats
from dpn.export.formats import ENDINGS, Format, open_file, read_metadata
from dpn.export.graph import Deployed, Pixels
from dpn.export.network import Batch, ExportError, Wanted, compare, export, images
from dpn.factories import NetworkError
from dpn.heatmaps import Codec, decode
from dpn.network_names import Network, network
from dpn.network_output import OutputError
from dpn.program.missing import install
from dpn.protocols import protocol
from dpn.skeletons import COCO_17
from dpn.verbs.export import export as export_verb
from dpn.zoo import ZOO

HW = (64, 48)


class Tiny(nn.Module):
    """A stage and its refinement, as hourglasses return them; without batch norm, so it is the same in any mode."""

    def __init__(self, joints: int = 17) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, joints, 5, stride=4, padding=2)
        self.second = nn.Conv2d(joints, joints, 3, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        stage = self.first(x)
        return [stage, self.second(stage.relu())]


class Unexportable(Tiny):
    """Leaves the graph."""

    def forward(self, x: Tensor) -> list[Tensor]:
        stages = super().forward(x)
        if stages[-1].sum().item() > 1e9:
            return stages[:1]
        return [torch.from_numpy(stage.detach().numpy()) for stage in stages]


class Attentive(Tiny):
    """Attention among rows of the stage, as torch's own layer does it."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(HW[1] // 4 * 17, 2, 8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        rows = self.first(x).transpose(1, 2)
        return [self.encoder(rows.flatten(2)).reshape_as(rows).transpose(1, 2)]


def tiny(net: nn.Module | None = None) -> Network:
    return Network(name="package:tiny", net=net or Tiny(), input_hw=HW)


def wanted(
    format: Format = "torchscript", batch: Batch = "dynamic", pixels: Pixels = "uint8", name: str = "dpn"
) -> Wanted:  # fmt: skip
    return Wanted(format=format, protocol=protocol(name, "coco"), input_hw=HW, batch=batch, pixels=pixels)


def graph(pixels: Pixels = "uint8", *, bgr: bool = False, hw: tuple[int, int] = HW) -> Deployed:
    return Deployed(Tiny(), Codec(name="quarter", input_hw=hw, sigma=2), 17, pixels, bgr=bgr)


# The graph.


@pytest.mark.parametrize("bgr", [False, True])
def test_normalisation_is_that_of_training_bit_for_bit(bgr: bool) -> None:
    """SimpleBaseline's weights take blue first, with the mean and deviation of red first."""
    pixels = torch.from_numpy(images(HW, 2))
    expected = to_input(pixels.flip(3) if bgr else pixels)
    assert torch.equal(graph(bgr=bgr).normalised(pixels), expected)
    as_tensor = pixels.permute(0, 3, 1, 2).contiguous().float() / 255
    assert torch.equal(graph("float", bgr=bgr).normalised(as_tensor), expected)
    assert not torch.equal(graph(bgr=not bgr).normalised(pixels), expected)


@given(st.integers(0, 10**6), st.sampled_from([2, 5, 1000]), st.sampled_from([0, 1, 5]))
def test_decoding_is_that_of_the_project_exactly(seed: int, levels: int, below: int) -> None:
    """With few levels many pixels are equal, and with `below` many maps have nothing above 0."""
    random = np.random.default_rng(seed)
    heatmaps = torch.from_numpy(random.integers(0, levels, (3, 17, 16, 12)).astype(np.float32) / levels - below * 0.2)
    codec = graph().codec
    coordinates, scores = decode(heatmaps, codec)
    found, heights = graph().decoded(heatmaps)
    assert torch.equal(found, coordinates * codec.stride)
    assert torch.equal(heights, scores)


def test_only_the_quarter_codec_is_exported() -> None:
    with pytest.raises(ValueError, match="only the quarter codec"):
        Deployed(Tiny(), Codec(name="dark", input_hw=HW, sigma=2), 17)


# Files.


@pytest.mark.parametrize("pixels", ["uint8", "float"])
@pytest.mark.parametrize("format", ENDINGS)
def test_a_file_computes_what_the_project_computes(
    tmp_path: Path, format: Format, pixels: Pixels, caplog: pytest.LogCaptureFixture
) -> None:
    """And nobody warns on the way, as torch's loader does of a path that ends otherwise than it would have it."""
    path = tmp_path / f"tiny{ENDINGS[format]}"
    found = export(tiny(), wanted(format, pixels=pixels), path)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert found.size_bytes == path.stat().st_size
    assert found.batches == (1, 3)
    assert found.joints == 17 * 4
    assert found.moved == 0
    assert found.heatmaps_difference < 1e-5
    call, runner = open_file(path, format)
    assert runner == found.checked_with
    shown = torch.from_numpy(images(HW, 5))
    given_ = shown if pixels == "uint8" else shown.permute(0, 3, 1, 2).contiguous().float() / 255
    coordinates, scores, heatmaps = call(given_)
    expected = Tiny()(to_input(shown))[-1]
    assert torch.allclose(heatmaps, expected, rtol=0, atol=1e-5)
    codec = Codec(name="quarter", input_hw=HW, sigma=2)
    assert torch.equal(coordinates, decode(expected, codec)[0] * 4)
    assert torch.allclose(scores, expected.flatten(2).amax(2), rtol=0, atol=1e-5)


def test_a_network_with_layers_that_torch_fuses_is_written(tmp_path: Path) -> None:
    found = export(tiny(Attentive()), wanted("onnx"), tmp_path / "attentive")
    assert found.batches == (1, 3)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("format", ENDINGS)
def test_a_file_says_what_it_is(tmp_path: Path, format: Format) -> None:
    path = tmp_path / "model"
    found = export(tiny(), wanted(format, batch=2), path)
    metadata = read_metadata(path)
    assert metadata == found.metadata
    assert metadata["network"] == "package:tiny"
    assert metadata["joints"] == list(COCO_17.joints)
    assert metadata["input_hw"] == list(HW)
    assert metadata["input"]["shape"] == [2, *HW, 3]
    assert metadata["outputs"]["heatmaps"]["shape"] == [2, 17, 16, 12]
    assert metadata["state_digest"] == tiny().state_digest()


def test_a_fixed_batch_is_fixed(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    assert export(tiny(), wanted("onnx", batch=2), path).batches == (2,)
    call, _ = open_file(path, "onnx")
    assert call(torch.from_numpy(images(HW, 2)))[0].shape == (2, 17, 2)
    with pytest.raises(Exception, match="Got: 3 Expected: 2"):
        call(torch.from_numpy(images(HW, 3)))
    for batch in (0, 1_025, 10**20):
        with pytest.raises(ValueError, match=f"--batch is at least 1 and at most 1,024, or dynamic, not {batch}"):
            export(tiny(), wanted(batch=batch), path)


def test_an_input_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"an input of 9992x9992 is more than 2,048 px on a side; give a smaller"):
        export(tiny(), replace(wanted(), input_hw=(9992, 9992)), tmp_path / "tiny")


def test_a_network_with_blue_first_takes_red_first_as_a_file(tmp_path: Path) -> None:
    export(tiny(), wanted(name="sbl"), tmp_path / "sbl")
    shown = torch.from_numpy(images(HW, 3))
    heatmaps = open_file(tmp_path / "sbl", "torchscript")[0](shown)[2]
    assert torch.allclose(heatmaps, Tiny()(to_input(shown.flip(3)))[-1], rtol=0, atol=1e-5)


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    net = tiny(nn.Sequential(nn.Dropout2d(0.9), Tiny()).train())
    export(net, wanted(), tmp_path / "tiny")
    assert net.net.training
    assert net.net[0].training  # type: ignore[index]


def falsified(change: Callable[[tuple[Tensor, Tensor, Tensor]], tuple[Tensor, ...]]) -> Any:
    """Makes a file that computes something else than what it is asked for."""
    content = formats.CONTENTS["torchscript"]

    class Falsified(nn.Module):
        def __init__(self, graph: nn.Module) -> None:
            super().__init__()
            self.graph = graph

        def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
            return change(self.graph(pixels))

    return lambda graph, *rest: content(Falsified(graph), *rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda out: (out[0], out[1], out[2] + 2e-4 * out[2].abs().max()), "heatmaps of the file differ by"),
        (lambda out: (out[0] + 0.25, out[1], out[2]), "the file finds other joints"),
        (lambda out: (out[0], out[1] + 1e-6, out[2]), "the file finds other joints"),
        (lambda out: (out[0], out[1], out[2] * float("nan")), "heatmaps of the file differ by nan"),
    ],
)
def test_a_file_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, said: str
) -> None:
    path = tmp_path / "tiny"
    path.write_text("an older file")
    monkeypatch.setitem(formats.CONTENTS, "torchscript", falsified(change))
    with pytest.raises(ExportError, match=said):
        export(tiny(), wanted(), path)
    assert path.read_text() == "an older file"
    assert len(list(tmp_path.iterdir())) == 1


def test_joints_that_rounding_decides_are_counted() -> None:
    deployed, shown = graph(), images(HW, 2)
    coordinates, scores, heatmaps = (tensor.detach() for tensor in deployed(torch.from_numpy(shown)))
    first, second = heatmaps[0, 0].flatten().topk(2).indices
    with torch.no_grad():
        tied = heatmaps.clone()
        tied[0, 0].flatten()[second] = scores[0, 0] + 1e-7
        deployed.net = Constant(heatmaps.clone())
        heatmaps[0, 0].flatten()[second] = scores[0, 0] - 1e-7
        deployed.net = Constant(heatmaps)
        moved, heights = deployed.decoded(tied)
        assert not torch.equal(moved, coordinates)
        difference, joints, count = compare(deployed.net, deployed, shown, (moved, heights, tied))
    assert (joints, count) == (34, 1)
    assert 0 < difference < 1e-6
    assert first != second


class Constant(nn.Module):
    """The same heatmaps for all images."""

    def __init__(self, heatmaps: Tensor) -> None:
        super().__init__()
        self.heatmaps = heatmaps

    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002 - as of any network
        return self.heatmaps


# Errors.


@pytest.mark.parametrize("format", ENDINGS)
def test_a_network_that_cannot_be_followed_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], format: Format
) -> None:
    """Tracing makes a constant of what leaves the graph, which the comparison notices."""
    with pytest.raises(ExportError) as error:
        export(tiny(Unexportable()), wanted(format), tmp_path / "tiny")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().out == ""


def test_what_gives_no_heatmaps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the network returns a Tensor"):
        export(tiny(nn.Sequential(nn.Flatten())), wanted(), tmp_path / "flat")
    assert list(tmp_path.iterdir()) == []


class Leaving(Tiny):
    """Leaves at one of its passes, or fails."""

    def __init__(self, at: int, error: BaseException) -> None:
        super().__init__()
        self.left, self.error = at, error

    def forward(self, x: Tensor) -> list[Tensor]:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().forward(x)


@pytest.mark.parametrize("passes", range(3))
@pytest.mark.parametrize("error", [SystemExit(0), TypeError("forward() lacks 'mask'")], ids=["leaves", "fails"])
def test_a_network_that_leaves_or_fails_at_any_pass_is_one_line(
    tmp_path: Path, error: BaseException, passes: int
) -> None:
    """To learn its heatmaps, to follow it, and to compare."""
    with pytest.raises(RuntimeError, match=re.escape(f"{type(error).__name__}: {error}")) as caught:
        export(tiny(Leaving(passes, error)), wanted(), tmp_path / "tiny")
    assert isinstance(caught.value, ExportError if passes == 1 else OutputError)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_network_in_half_precision_is_told_to_be_built_in_float32(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"its weights are float16: build it in float32, with net\.float\(\)$"):
        export(tiny(Tiny().half()), wanted(), tmp_path / "tiny")


Stages = namedtuple("Stages", ("heatmaps", "parsing"))


class Wrapped(Tiny):
    """Gives names to its heatmaps, or more of them."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(super().forward(x)[-1])


@pytest.mark.parametrize(
    "wrap",
    [lambda maps: {"heatmaps": maps, "aux": maps[:, :3]}, lambda maps: Stages([maps + 1, maps], maps[:, :3])],
    ids=["dict", "named tuple"],
)
def test_heatmaps_with_a_name_are_exported(tmp_path: Path, wrap: Callable[[Tensor], Any]) -> None:
    assert export(tiny(Wrapped(wrap)), wanted(), tmp_path / "tiny").joints == 17 * 4


def test_a_folder_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing is no folder; make it"):
        export(tiny(), wanted(), tmp_path / "missing" / "tiny")


def test_missing_packages_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = export(tiny(), wanted("onnx"), tmp_path / "tiny.onnx")
    assert found.checked_with is None
    with pytest.raises(RuntimeError, match=re.escape(install("backends"))):
        open_file(tmp_path / "tiny.onnx", "onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(RuntimeError, match=re.escape(install("backends"))):
        export(tiny(), wanted("onnx"), tmp_path / "other.onnx")
    with pytest.raises(RuntimeError, match=re.escape(install("backends"))):
        read_metadata(tmp_path / "tiny.onnx")


def test_other_files_are_no_exported_networks(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pt")
    (tmp_path / "text.onnx").write_text("no network")
    for name in ("weights.pt", "text.onnx"):
        with pytest.raises(ValueError, match=name):
            read_metadata(tmp_path / name)


# Networks of the zoo.


def weights_of(name: str, folder: Path) -> Path:
    """Random weights with statistics of random images: without, deep networks' maps are flat to the last digit."""
    torch.manual_seed(0)
    spec, path = ZOO[name], folder / f"{name}.pt"
    net = build(spec).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over what comes, without the values of before
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(2, 3, *spec.input_hw))
    torch.save(net.state_dict(), path)
    return path


def of_zoo(name: str, format: Format, folder: Path) -> None:
    weights = weights_of(name, folder)
    net, spec = network(name, weights), ZOO[name]
    found = export(net, Wanted(format=format, protocol=protocol("dpn", "coco"), input_hw=spec.input_hw), folder / "x")
    assert found.moved == 0
    assert found.joints == 4 * spec.joints
    assert found.metadata["spec_digest"] == spec.digest()
    assert found.metadata["weights_sha256"] == file_digest(weights)


def test_a_light_network_as_onnx(tmp_path: Path) -> None:
    of_zoo("dpn1_32_lite", "onnx", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", ENDINGS)
@pytest.mark.parametrize("name", ["dpn1_32_lite", "dpn4_32", "dpn4_32_mpii", "hrnet_w32"])
def test_networks_of_the_zoo_in_every_format(tmp_path: Path, name: str, format: Format) -> None:
    of_zoo(name, format, tmp_path)


def test_the_verb_says_how_the_file_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(build(ZOO["dpn1_32_lite"]).state_dict(), "weights.pt")
    export_verb("dpn1_32_lite", Path("weights.pt"), format="torchscript", input_="128x96", batch=1)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("dpn1_32_lite-128x96.torchscript: dpn1_32_lite at 128x96, ")
    assert second == "TorchScript on batches of 1: coordinates equal, heatmaps differ by at most 0.0e+00"
    export_verb("dpn1_32_lite", Path("weights.pt"), format="torchscript", input_="128x96", batch=1, as_json=True)
    assert json.loads(capsys.readouterr().out)["metadata"]["input_hw"] == [128, 96]
    with pytest.raises(ValueError, match="multiples of 8"):
        export_verb("dpn1_32_lite", Path("weights.pt"), input_="100x96")
    with pytest.raises(NetworkError, match="--weights"):
        export_verb("dpn1_32_lite")
