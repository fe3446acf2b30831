"""`python -m bench` as its users and scripts meet it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main as analysis_main
from bench.__main__ import main as bench_main
from bench.counts.conventions import CONVENTIONS
from bench.records.record import METRICS
from bench.verbs.count import count, opinions
from tests.bench.programs import ROOT, ran


def bench(*arguments: str, package: str = "bench") -> "subprocess.CompletedProcess[str]":
    return ran({"bench": bench_main, "analysis": analysis_main}[package], arguments)


@pytest.mark.parametrize(
    ("words", "code"), [(("count", "dpn4_65"), 1), (("list", "--json"), 0), (("show", "table-9"), 1)]
)
def test_a_process_of_its_own_says_the_same(words: tuple[str, ...], code: int) -> None:
    package = "analysis" if words[0] == "show" else "bench"
    done = subprocess.run([sys.executable, "-m", package, *words], cwd=ROOT, capture_output=True, text=True)
    here = bench(*words, package=package)
    assert (done.returncode, done.stdout, done.stderr) == (code, here.stdout, here.stderr)
    assert done.stdout or done.stderr


def answer(*arguments: str) -> Any:
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def error_of(*arguments: str, package: str = "bench") -> str:
    done = bench(*arguments, package=package)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_list() -> None:
    rows = {row["name"]: row for row in answer("list", "--json")}
    assert rows["dpn4_64_mpii"]["input_hw"] == [256, 256]
    assert rows["dpn4_64_mpii"]["joints"] == 16
    assert "dpn2_32_reversed" in bench("list").stdout


def test_count_in_a_convention() -> None:
    got = answer("count", "DPN4_64", "--convention", "gimacs", "--json")
    assert (got["name"], got["input_hw"], got["convention"], got["complete"]) == ("dpn4_64", [256, 192], "gimacs", True)
    assert (got["params"], got["macs"]) == (3_336_529, 3_224_371_200)
    assert got["live_macs"] < got["macs"]
    assert got["value"] == pytest.approx(3.0029, abs=1e-4)


@pytest.mark.parametrize(
    ("convention", "first"), [("gimacs", "gimacs, Gi MAC 3.003"), ("flops", "flops, FLOP 6,448,742,400"),
                              ("macs", "macs, MAC 3,224,371,200")]
)  # fmt: skip
def test_the_convention_that_is_asked_for_stands_first_and_once(convention: str, first: str) -> None:
    title, *rows = bench("count", "dpn4_64", "--convention", convention).stdout.splitlines()
    assert title.startswith("dpn4_64 at 256x192")
    assert " ".join(rows[0].split()) == f"{first} {CONVENTIONS[convention].source}"
    assert [row.split()[0].rstrip(",") for row in rows].count(convention) == 1
    (told,) = [row for row in rows if row.split()[0] == "weight_bytes"]
    assert told.rstrip().endswith(METRICS["weight_bytes"].meaning)


def test_the_legend_goes_where_there_is_no_room_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.outlets import count_tables

    monkeypatch.setattr(count_tables, "width", lambda: 60)
    count("tests.bench.networks:pointwise", "8x8")
    said = capsys.readouterr().out
    assert METRICS["weight_bytes"].meaning not in said
    assert "hrnet_summary_truncated, Gi MAC  0.000\n" in re.sub(" +\n", "\n", re.sub("  +", "  ", said))


def test_a_part_of_the_network_is_a_row_and_all_of_them_are_the_count() -> None:
    got = answer("count", "dpn1_32", "--depth", "2", "--json")
    assert [part["module"] for part in got["parts"]][:3] == ["conv0.0", "conv0.1", "conv1.0"]
    for quantity in ("params", "macs", "live_macs"):
        assert sum(part[quantity] for part in got["parts"]) == got[quantity]
    *rows, total = (line.split() for line in bench("count", "dpn1_32", "--depth", "1").stdout.splitlines()[-7:])
    assert total == ["total", *(f"{got[quantity]:,}" for quantity in ("params", "macs", "live_macs")), "100.0"]
    assert [row[0] for row in rows] == ["conv0", "conv1", "conv2", "dpm", "fuse", "heatmap"]
    assert sum(float(row[-1]) for row in rows) == pytest.approx(100, abs=0.5)


def test_what_a_network_does_outside_its_modules_has_a_name() -> None:
    assert re.search(r"\(outside modules\) +20 +960 +960 +100\.0", bench(
        "count", "tests.bench.networks:pointwise", "--input", "8x8", "--depth", "1"
    ).stdout)  # fmt: skip


def test_a_printed_cost_is_told_by_its_convention() -> None:
    assert answer("count", "dpn4_64", "--printed", "3.0", "--json")["printed"] == {
        "cost": "3.0", "exactly": True, "conventions": dict.fromkeys(
            ("gimacs", "hrnet_summary", "gimacs_truncated", "hrnet_summary_truncated"), "3.0"
        ),
    }  # fmt: skip
    said = bench("count", "dpn4_64", "--printed", "3.2").stdout
    assert re.search(r"\n3\.2 is what these print:\ngmacs  3\.2  fvcore", said)
    said = bench("count", "dpn4_64", "--printed", "3.4").stdout
    assert re.search(r"\nno convention prints 3\.4; the nearest print:\ngmacs +3\.2", said)


def test_layers_are_whole_where_they_are_piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = bench("count", "dpn1_32", "--layers").stdout.splitlines()
    assert lines[-1].split() == ["heatmap", "conv", "1x17x64x48", "1x1", "2,193", "6,684,672", "6,684,672"]
    assert any(line.split()[:5] == ["dpm.1.0.conv2", "conv", "1x32x32x24", "3x3,", "d=32"] for line in lines)


@pytest.mark.parametrize(
    ("verb", "names"),
    [("count", "NETWORK"), ("opinions", "NETWORK"), ("accuracy", "NETWORK"), ("measure", "[NETWORK ...]"),
     ("verify", "[NETWORK ...]"), ("duel", "A B"), ("compare", "BASE HEAD"), ("trained", "FOLDER [...]")],
)  # fmt: skip
def test_help_and_errors_call_an_argument_by_one_name(verb: str, names: str) -> None:
    usage = bench(verb, "--help").stdout.split("\n\n")[0]
    assert f"] {names}" in usage
    assert "STR" not in usage.partition(f"] {names}")[0].rpartition("OPTIONS")[2]
    for name in () if "[" in names else names.split():
        assert f"{name}: must be given" in bench(verb).stderr


def test_count_at_another_size_and_by_layer() -> None:
    got = answer("count", "dpn1_32", "--input", "128x96", "--layers", "--json")
    whole = answer("count", "dpn1_32", "--json")
    assert got["input_hw"] == [128, 96]
    assert 4 * got["macs"] == whole["macs"]
    assert sum(layer["macs"] for layer in got["layers"]) == got["macs"]
    assert all(layer["arithmetic_intensity"] > 0 for layer in got["layers"])


def test_count_anybodys_network() -> None:
    got = answer("count", "tests.bench.networks:pointwise", "--input", "10x20", "--convention", "flops", "--json")
    assert (got["macs"], got["value"], got["params"]) == (3 * 5 * 200, 2 * 3 * 5 * 200, 20)
    assert got["spec_digest"].startswith("module-")


def bracketed() -> Any:
    """A network with a module whose name looks like the end of a style."""
    from torch import nn

    net = nn.Sequential()
    net.add_module("[/x]", nn.Conv2d(3, 2, 1))
    return net


def test_what_others_say_is_no_markup(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.opinions import second_opinions

    count("tests.bench.test_cli:bracketed", "8x8", layers=True)
    assert "[/x]" in capsys.readouterr().out
    failed = {"counter": "fvcore", "version": "1", "failure": "[enforce fail at x] [/y]"}
    known = {"counter": "torch", "version": "1", "failure": "", "total": 3, "extras": {"[z]": 3}, "unexplained": 0}
    monkeypatch.setattr(second_opinions, "second_opinions", lambda *_, **__: ())
    monkeypatch.setattr(second_opinions, "to_record_detail", lambda _: {"opinions": [failed, known]})
    opinions("tests.bench.networks:pointwise", "8x8")
    said = capsys.readouterr().out
    assert "[enforce fail at x] [/y]" in said
    assert "[z] +3" in said
    assert any(line.split() == ["torch", "1", "3", "0", "[z]", "+3"] for line in said.splitlines())


def test_an_unknown_operator_is_named_and_fails_when_strict() -> None:
    name = "tests.bench.networks:with_fourier_transform"
    lenient, strict = (bench("count", name, "--input", "8x8", "--json", *more) for more in ((), ("--strict",)))
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert json.loads(strict.stdout)["complete"] is False
    assert "unknown operator: aten::_fft_r2c" in strict.stderr


def test_verify_fails_for_an_incomplete_count_when_strict(tmp_path: Path) -> None:
    name, records = "tests.bench.networks:with_fourier_transform", ("--input", "8x8", "--records", str(tmp_path))
    assert bench("measure", name, *records).returncode == 0
    lenient, strict = (bench("verify", name, *records, *more) for more in ((), ("--strict",)))
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert lenient.stdout.startswith("1 network counted: ")
    assert "aten::_fft_r2c" in lenient.stderr
    assert (
        strict.stderr.splitlines()[-1]
        == "error: a count is incomplete, see the warnings; leave out --strict to accept it"
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("count", "tests.bench.networks:leaves"), "SystemExit: left at (1, 3, 256, 192); a forward pass must return"),
        (("count", "dpn4_65"), "the nearest names are dpn4_64"),
        (("count", "dpn4_64", "--input", "250x192"), "multiples of 8, for example 248x192"),
        (("count", "dpn4_64", "--input", "big"), "HEIGHTxWIDTH"),
        (
            ("count", "dpn4_64", "--convention", "gflops"),
            "there are macs (multiply-adds, exact: what ",
        ),
        (("count", "dpn4_64", "--printed", "8,9"), "8.9 or 8.9G, with a point and no comma, not '8,9'"),
        (("count", "dpn4_64", "--depth", "-1"), "--depth -1: must be 1 or more"),
        (("count", "nowhere:net"), "cannot import 'nowhere'"),
        (("count", "dpn4_64", "--device", "gpu"), "--device 'gpu' is none of meta, cpu, cuda"),
        (("count", "dpn4_64", "--device", ""), "--device '' is none of meta, cpu, cuda"),
        (("measure", "dpn4_64", "--seconds", "nan", "--records", "/nonexistent"), "--seconds nan: must be a finite"),
        (("measure",), "--suite paper"),
        (("measure", "--suite", "all"), "there are paper"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], part: str) -> None:
    assert part in error_of(*arguments)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("show", "table-9"), "no table 'table-9'; the nearest are table-"),
        (("show", "../x"), r"no table '\.\./x'; there are table-1"),
        (("show", "table-6", "--records", "nosuch"), f"no folder {ROOT / 'nosuch'}; give a folder of records"),
        (("gridding", "--dilations", "99999999999,1"), "a dilation is too large; give smaller ones, of at most 65,536"),
        (("gridding", "--dilations", "4,2", "--map", "100000x100000"), "is too large .* at most 2048 on a side"),
        (("gridding", "--dilations", "4,2", "--map", "64"), "a map is HEIGHTxWIDTH"),
        (("figure", "figure-1", "--records", "README.md"), f"no folder {ROOT / 'README.md'}; give a folder of records"),
        (("explain", "table-6", "dpn4_64", "speed"), "it has method"),
        (
            ("explain", "table-6", "dpn4_64", "parms"),
            "has no column 'parms'; the nearest are params_reported, ",
        ),
        (("explain", "table-6", "dpn5", "params"), "has no row 'dpn5'"),
        (("explain", "table-6", "dpn4_6", "params"), "has no row 'dpn4_6'; the nearest are dpn4_64"),
    ],
)
def test_bad_questions_to_analysis_are_one_line(arguments: tuple[str, ...], part: str) -> None:
    assert re.search(part, error_of(*arguments, package="analysis"))


def test_a_folder_without_records_says_so(tmp_path: Path) -> None:
    done = bench("show", "table-6", "--records", str(tmp_path), package="analysis")
    assert done.returncode == 0
    assert f"note: no records below {tmp_path}" in done.stderr
    assert "DPN4_64 (ours)" in done.stdout


def test_show_and_explain() -> None:
    shown = bench("show", "table-6", package="analysis")
    assert "DPN4_64 (ours)" in shown.stdout
    explained = bench("explain", "table-6", "dpn4_64", "params", package="analysis")
    assert explained.returncode == 0
    assert "reported: '3.3 M'" in explained.stdout
    assert "measured: 3336529" in explained.stdout


def test_verify_agrees_with_the_committed_records() -> None:
    done = bench("verify", "dpn4_64", "dpn4_32")
    assert (done.returncode, done.stdout) == (
        0,
        "2 networks counted: 14 stored records verified, 0 missing, 0 differ\n",
    )
