"""`receptive-field` and `gridding` as their users meet them: the facts' numbers, JSON, and one line for bad input."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import tyro
from torch import nn

from analysis.effective_fields.erf_records import Protocol
from analysis.effective_fields.gridding_records import around_middle
from analysis.receptive_fields.field_graph import UnavailableError
from analysis.receptive_fields.field_records import rows_read
from analysis.receptive_fields.field_rows import extent_row
from analysis.receptive_fields.field_text import shown
from analysis.receptive_fields.field_trace import trace, trace_subject
from analysis.receptive_fields.live_taps import LayerTaps
from analysis.verbs import measured_gridding
from analysis.verbs.effective import effective
from analysis.verbs.erf import erf
from analysis.verbs.gridding import BRIEF, Between, gridding
from analysis.verbs.measured_gridding import show_measured
from analysis.verbs.neighbours import neighbours
from analysis.verbs.receptive_field import receptive_field
from analysis.verbs.trace import trace as trace_verb
from bench.records.store import Store
from bench.subject import resolve
from dpn.input_size import parse_hw
from dpn.program.cli import message
from tests.analysis.random_networks import Apply

ROOT = Path(__file__).resolve().parents[2]
PYRAMID = "32,16,8,4,2,1"
Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The verbs as the command line parses them."""

    def run(*arguments: str) -> str:
        verbs: dict[str, Callable[..., Any]] = {
            "receptive-field": receptive_field, "gridding": gridding, "neighbours": neighbours,
            "effective": effective, "trace": trace_verb,
        }  # fmt: skip
        tyro.extras.subcommand_cli_from_dict(verbs, args=list(arguments), use_underscores=False)
        return capsys.readouterr().out

    return run


def answer(run: Run, *arguments: str) -> Any:
    (line,) = run(*arguments, "--json").splitlines()
    return json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_the_field_of_a_stack(run: Run) -> None:
    told = answer(run, "receptive-field", "--dilations", PYRAMID, "--modules", "2")
    assert (told["dilations"], told["modules"], told["map_hw"]) == ([32, 16, 8, 4, 2, 1], 2, None)
    assert [row["rf"] for row in told["maps"]] == [1, 65, 97, 113, 121, 125, 127, 191, 223, 239, 247, 251, 253]
    assert told["maps"][6]["most_paths"] == 13
    assert told["maps"][-1]["map"] == "layer 12"
    assert "live_taps" not in told["maps"][1]
    assert "receptive field 253, of which 253 are read" in run(
        "receptive-field", "--dilations", PYRAMID, "--modules", "2"
    )


def test_the_field_of_a_stack_on_a_map(run: Run) -> None:
    told = answer(run, "receptive-field", "--dilations", PYRAMID, "--map", "32x24")
    rows = told["maps"]
    assert (told["map_hw"], rows[-1]["mean_share_of_map"]) == ([32, 24], 1)
    assert (rows[1]["live_taps"], rows[1]["dead_taps"], rows[1]["is_1x1"]) == (1, 8, True)
    assert rows[1]["live_share"] == pytest.approx(1 / 9)
    assert rows[0]["live_taps"] is None


def test_the_field_in_a_map_of_the_stack(run: Run) -> None:
    told = answer(run, "receptive-field", "--dilations", PYRAMID, "--to", "layer 5", "--map", "32x24")
    assert [(row["map"], row["rf"]) for row in told["maps"]] == [("layer 5", 1), ("layer 6", 3)]
    assert told["maps"][1]["mean_share_of_map"] == pytest.approx((94 / 32**2) * (70 / 24**2))


def test_the_field_of_every_map_of_a_network(run: Run) -> None:
    told = answer(run, "receptive-field", "dpn1_32", "--to", "conv2")
    rows = {row["map"]: row for row in told["maps"]}
    assert told["input_hw"] == [256, 192]
    assert (rows["dpm.1"]["size_hw"], rows["dpm.1"]["jump_hw"], rows["dpm.1"]["shape"]) == (
        [127, 127],
        [1, 1],
        [128, 32, 24],
    )
    assert rows["dpm.1.0"]["size_hw"] == [65, 65]
    assert rows["upsample"]["jump_hw"] == ["1/2", "1/2"]
    assert "does not depend on" in rows["conv0"]["unavailable"]
    text = run("receptive-field", "dpn1_32", "--to", "conv2")
    assert "127x127" in text
    assert "unavailable: " in text


def test_an_operator_that_cannot_be_followed_is_named(run: Run) -> None:
    name = "tests.bench.networks:with_fourier_transform"
    rows = answer(run, "receptive-field", name, "--input", "8x8")["maps"]
    assert any("fft" in (row["unavailable"] or "") for row in rows)
    assert rows[0]["size_hw"] == [1, 1]


def test_the_gridding_of_a_stack(run: Run) -> None:
    told = answer(run, "gridding", "--dilations", "1,2,4,8,16,32", "--map", "64x48", "--orders")
    assert (told["rf"], told["support"], told["mean_interior_overlap"]) == (127, 127, 0)
    assert (told["hdc"]["m2"], told["hdc"]["passes"]) == (2, True)
    assert [row["phases_2d"] for row in told["maps"]] == [1, 4, 16, 64, 256, 1024, None]
    assert told["bounded"][0]["effective_share"] == pytest.approx(0.696, abs=5e-4)
    assert len(told["orders"]) == 720
    assert told["orders"][0]["dilations"] == [32, 16, 8, 4, 2, 1]
    assert "orders" not in answer(run, "gridding", "--dilations", "2,1")


@pytest.mark.parametrize("typed", ["1, 3, 9", " 1 3  9 ", "1 ,3,9"])
def test_blanks_between_dilations_do_no_harm(run: Run, typed: str) -> None:
    assert answer(run, "gridding", "--dilations", typed)["dilations"] == [1, 3, 9]


def test_the_gridding_of_a_stack_as_text(run: Run) -> None:
    text = run("gridding", "--dilations", PYRAMID, "--map", "32x24", "--orders")
    assert "HDC: M_2 = 21, fails" in text
    assert "means over maps: backward coverage 1.0000, forward coverage 0.3352, interior overlap 0.8818" in text
    assert "720 orders, best first; this one is number 1, 25 pass the HDC rule" in text
    assert "0.6336 of all multiply-adds are live" in text


@pytest.mark.parametrize(("name", "overlaps"), [("dpn1_32", True), ("dpn1_32_reversed", False)])
def test_the_gridding_of_a_networks_module(run: Run, name: str, overlaps: bool) -> None:
    told = answer(run, "gridding", name)
    assert [(row["of"], row["to"]) for row in told["maps"]] == [
        ("dpm.1.5", "conv2"), *(("dpm.1.5", f"dpm.1.{block}") for block in range(5))
    ]  # fmt: skip
    assert all((row["units"], row["of_hw"]) == (768, [32, 24]) for row in told["maps"])
    assert [row["overlap_x"] > 0 for row in told["maps"]] == [True] + [overlaps] * 5
    assert [row["phases"] for row in told["maps"]] == ([1] * 6 if overlaps else [1, 4, 16, 64, 256, 768])
    dead = [row["layer"] for row in told["layers"] if row["is_1x1"]]
    assert dead == ["dpm.1.0.conv2" if overlaps else "dpm.1.5.conv2"]
    assert dead[0] in run("gridding", name)


def test_the_gridding_between_two_maps_of_a_network(run: Run) -> None:
    told = answer(run, "gridding", "dpn1_32", "--of", "conv1", "--to", "conv0", "--sample", "5")
    (row,) = told["maps"]
    assert (row["units"], row["positions"], row["phases"], row["backward_coverage"]) == (5, 5, None, 1)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("receptive-field",), "--dilations such as 32,16,8,4,2,1"),
        (("receptive-field", "dpn1_32", "--dilations", "1"), "give either a network"),
        (("receptive-field", "--dilations", "a,b"), "positive integers with commas"),
        (("gridding", "--dilations", "2,0"), "positive integers with commas"),
        (("gridding", "--dilations", "2,,1"), "positive integers with commas"),
        (("gridding", "--dilations", " "), "positive integers with commas"),
        (("gridding", "--dilations", "1", "--map", "64"), "HEIGHTxWIDTH in positions, such as 64x48, not '64'"),
        (("gridding", "--dilations", "1", "--map", "64x9999"), "at most 2048 on a side"),
        (
            ("gridding", "--dilations", "32,16,8,4,2,1", "--modules", "7", "--map", "2048x2048"),
            "42 layers on a map of 2048x2048 have too many paths; give a smaller map or fewer layers",
        ),
        (
            ("receptive-field", "--dilations", "32,16,8,4,2,1", "--modules", "7", "--map", "1024x1024"),
            "give a smaller map or fewer layers",
        ),
        (
            ("receptive-field", "--dilations", "32,16,8,4,2,1", "--modules", "100"),
            "600 layers that span 12,601 positions have too many paths; give fewer modules",
        ),
        (("gridding", "--dilations", "999999"), "give smaller dilations"),
        (("gridding", "--dilations", "1", "--modules", "0"), "--modules must be 1 or more, not 0"),
        (("gridding", "--dilations", "1", "--input", "64x48"), "a stack takes --map"),
        (("gridding", "--dilations", "1", "--to", "input"), "are for a network"),
        (("gridding", "--dilations", "1,2,3,4,5,6,7,8,9", "--orders"), "give at most 8"),
        (("gridding", "dpn1_32", "--orders"), "give --dilations"),
        (("gridding", "--dilations", "2,1", "--modules", "2", "--orders"), "orders of one module; leave --modules out"),
        (("gridding", "dpn1_32", "--map", "64x48"), "a network takes --input"),
        (("gridding", "dpn1_33"), "the nearest names are dpn1_32"),
        (("receptive-field", "dpn1_32", "--input", "250x192"), "multiples of 8"),
        (("receptive-field", "dpn1_32", "--to", "conv9"), "no map named 'conv9'; the nearest are conv"),
        (("receptive-field", "--dilations", "1", "--to", "layer 2"), "no map named 'layer 2'; the nearest are"),
        (("gridding", "dpn1_32", "--of", "conv0", "--to", "conv1"), "exchange them"),
        (("gridding", "sbl_r50"), "name two maps with --of and --to"),
        (("gridding", "nowhere:net"), "cannot import 'nowhere'"),
        (("gridding", "dpn1_32", "--weights", "w.pt"), "are for --measured; add it"),
        (("gridding", "dpn1_32", "--seeds", "3"), "are for --measured; add it"),
        (("gridding", "--dilations", "2,1", "--measured"), "name one in place of --dilations"),
        (("gridding", "dpn1_32_lite", "--measured", "--images", "1"), "at least two images"),
        (
            ("gridding", "dpn1_32_lite", "--measured", "--initial", "xavier"),
            "no weights named 'xavier', only calibrated",
        ),
        (("gridding", "dpn1_32_lite", "--measured", "--weights", "released"), "give --weights FILE"),
        (("gridding", "dpn1_32_lite", "--measured", "--source", "nowhere"), "name a folder of images"),
    ],
)
def test_bad_input_is_an_error_of_one_line_with_its_remedy(run: Run, arguments: tuple[str, ...], part: str) -> None:
    from dpn.program.cli import EXPECTED

    with pytest.raises(EXPECTED) as caught:
        run(*arguments)
    assert part in message(caught.value)


@pytest.mark.parametrize(("name", "coupled"), [("dpn1_32_lite", True), ("dpn1_32_reversed_lite", False)])
def test_the_measured_gridding_of_a_network(
    run: Run, name: str, coupled: bool, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    told = answer(run, "gridding", name, "--measured", "--images", "2", "--source", "noise")
    assert len(told["maps"]) == 6
    found = told["measured"]
    assert (found["weights"], found["networks"], found["images"]) == ("random, calibrated", 1, 2)
    assert [(row["of"], row["to"]) for row in found["neighbours"]] == [(row["of"], row["to"]) for row in told["maps"]]
    entering, *inside = [row["cosine"] for row in found["neighbours"]]
    assert 0 <= entering["interval"][0] < entering["value"] <= entering["interval"][1] <= 1
    assert [row["value"] > 0 for row in inside] == [coupled] * 5
    assert [row["map"] for row in found["responses"]] == ["conv2", *(f"dpm.1.{block}" for block in range(6))]
    wired = {row["layer"]: row["live_taps"] for row in told["layers"]}
    assert {row["layer"]: row["live_taps"] for row in found["taps"]} == wired
    show_measured(found, [LayerTaps(**row) for row in told["layers"]])
    assert "gradients reach every tap that the wiring lets them reach" in capsys.readouterr().out


def test_the_measured_gridding_of_two_maps_and_of_weights_that_kill_taps(run: Run, tmp_path: Path) -> None:
    net = resolve("dpn1_32_lite").factory()
    torch.nn.init.zeros_(net.get_parameter("dpm.1.3.bn2.weight"))
    torch.save(net.state_dict(), tmp_path / "dead.pt")
    arguments = ("dpn1_32_lite", "--of", "dpm.1.2", "--to", "input", "--sample", "2", "--measured", "--images", "2")
    text = run("gridding", *arguments, "--source", "noise", "--weights", str(tmp_path / "dead.pt"))
    assert "measured by gradients: weights sha256:" in text
    assert "one network, 2 images (noise); values with intervals, over 2 images, that hold less than 95 %" in text
    assert "layers whose weights get fewer gradients than their taps could" in text
    (line,) = (line for line in text.splitlines() if line.startswith("dpm.1.3.conv2 "))
    assert line.split() == ["dpm.1.3.conv2", "9", "9", "0"]


class Two(nn.Module):
    """A network of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y: torch.Tensor = self.conv(x)
        return y, 2 * y


def test_what_cannot_be_measured_of_a_network_says_why(run: Run) -> None:
    name = "tests.analysis.test_field_verbs:Two"
    arguments = ("gridding", name, "--input", "8x8", "--of", "conv", "--to", "input", "--measured", "--images", "2")
    found = answer(run, *arguments)["measured"]
    assert found["weights"] == "random, given"
    assert 0 < found["neighbours"][0]["cosine"]["value"] < 1
    assert "wrap it so that it returns one map" in found["taps"]
    assert "not measured: " in run(*arguments)


def test_the_bar_of_measured_gridding_ends_where_everything_is_measured(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    asked, done = list[float](), list[float]()

    def progress(_title: str, total: float) -> Any:
        asked.append(total)
        return nullcontext(SimpleNamespace(advance=done.append))

    monkeypatch.setattr(measured_gridding, "progress", progress)
    name = "tests.analysis.test_field_verbs:Two"
    run("gridding", name, "--input", "8x8", "--of", "conv", "--to", "input", "--measured", "--images", "3")
    assert asked == [sum(done)] == [3 * 3]  # gradients, responses and taps of three images


def test_gradients_are_measured_where_the_wiring_cannot_be_told(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    name, between = "tests.bench.networks:with_fourier_transform", Between(input="8x8", of="output")
    with pytest.raises(UnavailableError, match="fft"):
        gridding(name, between=between)
    for as_json in (False, True):
        gridding(name, between=between, measured=True, protocol=replace(BRIEF, images=2), as_json=as_json)
        text, notes = capsys.readouterr()
        assert notes.startswith("note: taken for (B, C, H, W), though the tracer cannot confirm it: output (_fft_r2c ")
        if as_json:
            told = json.loads(text)
            (row,) = told["maps"]
            assert (row["of"], row["to"], row["unavailable"].split()[0]) == ("output", "input", "_fft_r2c")
            assert 0 < told["measured"]["neighbours"][0]["cosine"]["value"] <= 1
        else:
            assert "units of output and positions of input: unavailable: _fft_r2c in the network" in text
            assert "measured by gradients" in text
    with pytest.raises(UnavailableError, match="does not depend on"):
        run("gridding", "dpn1_32_lite", "--of", "conv0", "--to", "conv2", "--measured")


@pytest.mark.parametrize(("input_", "pairs"), [("2x2", 2), ("2x9", 2), ("1x9", 1), ("1x2", 1)])
def test_small_maps_are_measured_with_the_neighbours_that_there_are(run: Run, input_: str, pairs: int) -> None:
    graph = trace_subject(resolve("tests.analysis.test_field_verbs:Two", parse_hw(input_)))[1]
    watched = around_middle(graph, "conv", ["input"])
    assert len(watched.steps) == pairs
    arguments = ("gridding", "tests.analysis.test_field_verbs:Two", "--input", input_, "--of", "conv", "--to", "input")
    found = answer(run, *arguments, "--measured", "--images", "2")["measured"]
    assert 0 < found["neighbours"][0]["cosine"]["value"] < 1


def test_a_single_unit_has_no_neighbours_and_larger_maps_are_asked_in_their_middle(run: Run) -> None:
    arguments = ("gridding", "tests.analysis.test_field_verbs:Two", "--input", "1x1", "--of", "conv", "--to", "input")
    with pytest.raises(ValueError, match="conv is a single unit and has no neighbours; give a larger input"):
        run(*arguments, "--measured", "--images", "2")
    for input_, unit in (("3x3", (1, 1)), ("4x5", (2, 2)), ("32x24", (16, 12))):
        graph = trace_subject(resolve("tests.analysis.test_field_verbs:Two", parse_hw(input_)))[1]
        assert around_middle(graph, "conv", ["input"]).units == (unit,)


def test_neighbours_are_measured_once_and_kept(run: Run, tmp_path: Path) -> None:
    arguments = ("neighbours", "dpn1_32_lite", "--images", "2", "--seeds", "1", "--records", str(tmp_path))
    assert run(*arguments) == "1 networks: 1 records added, 0 there already\n"
    assert run(*arguments) == "1 networks: 0 records added, 1 there already\n"


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("trace", ()), ("neighbours", ("--images", "2", "--seeds", "1")),
        ("effective", ("--images", "1", "--seeds", "1", "--of", "dpm.1.1")),
    ],
)  # fmt: skip
def test_records_of_a_factory_are_for_the_input_that_is_asked_for(
    run: Run, verb: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    run(verb, "tests.analysis.test_erf_verbs:falling", "--input", "64x48", "--records", str(tmp_path), *more)
    (record,) = Store(tmp_path).records
    assert record.protocol["input_hw"] == [64, 48]
    assert record.protocol.get("weights", "random, calibrated") == "random, calibrated"


def test_a_network_without_the_page_s_maps_is_named_with_the_remedy(tmp_path: Path) -> None:
    name = "tests.analysis.test_field_verbs:Two"
    with pytest.raises(KeyError, match=rf"{name}: no map named 'dpm\.1'; .* with --of and --to .*-field {name}"):
        effective((name,), "8x8", records=tmp_path)


def test_new_weights_that_nobody_asked_for_are_doubted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name, between = "tests.analysis.test_erf_verbs:small", Between(input="16x12", of="output")
    gridding(name, between=between)
    assert capsys.readouterr().err == ""
    gridding(name, between=between, measured=True, protocol=replace(BRIEF, images=2))
    assert "--initial calibrated draws others" in capsys.readouterr().err
    effective((name,), "16x12", Protocol(of="output", to="input", images=1, seeds=1), records=tmp_path)
    assert "--initial calibrated draws others" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [trace_verb, effective, neighbours, gridding, receptive_field, erf])
def test_help_names_networks_and_groups_in_words_and_flags_have_no_twin(
    verb: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    with pytest.raises(SystemExit):
        tyro.cli(verb, args=["--help"])
    told = capsys.readouterr().out
    assert "NETWORK" in told
    assert "protocol options" not in told
    assert "asked options" not in told
    assert "--json" in told or "--records" in told
    assert "--no-" not in told


@pytest.mark.parametrize("verb", [trace_verb, effective, neighbours])
def test_a_folder_that_cannot_be_written_is_refused_at_once(
    verb: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    with pytest.raises(ValueError, match="cannot be written; name another folder"):
        verb(("dpn1_32_lite",), records=tmp_path)


def test_trained_weights_are_of_one_network() -> None:
    with pytest.raises(ValueError, match="--weights takes exactly one network; name it"):
        effective(weights=Path("released"))


def test_a_stack_needs_no_torch() -> None:
    code = (
        "import sys; from analysis.verbs.gridding import RankedStack, gridding;"
        "from analysis.verbs.receptive_field import receptive_field;"
        "stack = RankedStack(dilations='2,1', map='9x9', orders=True); gridding(stack=stack);"
        "receptive_field(stack=stack);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "False"


def test_numbers_are_shown_as_they_are() -> None:
    assert [shown(value) for value in (1234567, 3.0, 0.25, 0.99999, 5e-7, True)] == [
        "1,234,567", "3", "0.2500", "1.0000", "5e-07", "yes",
    ]  # fmt: skip


def test_what_no_rule_follows_is_probed_and_says_so(run: Run) -> None:
    name = "tests.bench.networks:with_fourier_transform"
    told = run("receptive-field", name, "--input", "16x16")
    (line,) = (line for line in told.splitlines() if line.startswith("output"))
    assert "unavailable: _fft_r2c in the network" in line
    assert "probed: at least 16x16" in line
    row = answer(run, "receptive-field", name, "--input", "16x16")["maps"][-1]
    assert row["size_hw"] is None
    assert row["probed"].startswith("probed: at least 16x16")


class Choosing(nn.Module):
    """Its forward pass reads a value, so it does not run without data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        return y if y.mean() > 0 else 2 * y


def test_a_network_that_reads_values_is_traced_with_some(run: Run) -> None:
    arguments = ("receptive-field", "tests.analysis.test_field_verbs:Choosing", "--input", "16x16")
    told = answer(run, *arguments)
    row = told["maps"][-1]
    assert (row["map"], row["size_hw"]) == ("output", [3, 3])
    assert told["values"] == run(*arguments).splitlines()[-1]
    assert told["values"].startswith("values of maps were read in the network: ")


@pytest.mark.parametrize("read", [
    lambda x: x.max().item(), lambda x: x.sum().tolist(), lambda x: float(x.mean()),
    lambda x: torch.from_numpy(x.numpy()).max(), lambda x: torch.tensor(x.flatten(1).tolist()).max(),
])  # fmt: skip
def test_values_that_leave_torch_are_noticed(read: Callable[[torch.Tensor], Any]) -> None:
    graph = trace(Apply(lambda x: x / read(2 * x)), (1, 3, 8, 8), device="cpu")
    assert graph.valued == ("the network",)
    assert not trace(Apply(lambda x: x / 2), (1, 3, 8, 8), device="cpu").valued


def test_where_units_differ_the_size_is_that_of_the_central_one(run: Run) -> None:
    """As in the records, and so on the page; a user of CPN reads one number in both."""
    row = answer(run, "receptive-field", "cpn_r50")["maps"][-1]
    graph = trace_subject(resolve("cpn_r50"))[1]
    assert row["size_hw"][0] == rows_read(graph, graph.index("output"))[0]
    assert (row["map"], row["unavailable"], row["jump_hw"]) == ("output", None, None)
    assert row["note"].startswith("of the central unit: branches that meet in add")
    text = run("receptive-field", "cpn_r50").splitlines()[-1]
    assert f"{shown(row['size_hw'])} of the central unit: branches" in text


def of_stochastic_depth() -> nn.Module:
    """Its constructor reads values."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), *(nn.Dropout(rate.item()) for rate in torch.linspace(0, 0.1, 2)))


def test_a_network_that_is_built_of_values_is_traced(run: Run) -> None:
    told = answer(run, "receptive-field", "tests.analysis.test_field_verbs:of_stochastic_depth", "--input", "16x16")
    assert told["maps"][-1]["size_hw"] == [3, 3]


def _parts(x: torch.Tensor) -> torch.Tensor:
    y = torch.zeros_like(x)
    y[:, :, :4], y[:, :, 4:] = x[:, :, :4], x[:, :, 4:].flip(2)
    return nn.functional.avg_pool2d(y, 3, 1, 1)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (Apply(lambda x: x * nn.functional.adaptive_avg_pool2d(x, 1)), [8, 8]),
        (nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d((2, 4))), [5, 3]),
        (Apply(_parts), [5, 3]),
    ],
    ids=["gate", "adaptive pooling", "parts"],
)
def test_where_a_rule_holds_on_its_own_map_only_the_size_is_that_on_this_map(net: nn.Module, size: list[int]) -> None:
    row = extent_row(trace(net, (1, 3, 8, 8)), "output", "input")
    assert (row["size_hw"], row["unavailable"], row["jump_hw"]) == (size, None, None)
    assert row["note"].startswith("of the central unit, on this map: ")
    assert row["note"].endswith("is defined for its own map only, not for an unbounded one")


class Says(nn.Module):
    """Returns no tensor."""

    def forward(self, _: torch.Tensor) -> str:
        return "a person"


class Blind(nn.Module):
    """Returns a tensor that its image does not decide."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(x.shape)


@pytest.mark.parametrize("name", ["Says", "Blind"])
def test_an_output_that_the_image_does_not_reach_is_told_of(run: Run, name: str) -> None:
    arguments = (f"tests.analysis.test_field_verbs:{name}", "--input", "16x16")
    reason = "no tensor that the network returns depends on the image"
    assert reason in run("receptive-field", *arguments).splitlines()[-1]
    told = answer(run, "receptive-field", *arguments)
    assert [row["map"] for row in told["maps"]] == ["input"]
    assert reason in told["output"]
    with pytest.raises(KeyError, match=reason):
        run("gridding", *arguments, "--to", "input")
