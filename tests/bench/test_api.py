"""Measuring from a notebook."""

import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench import api
from bench.records.rows import PROTOCOL, rows
from bench.records.store import Store
from bench.sweeps.choices import COUNTS
from tests.bench.networks import pointwise
from tests.bench.onnx_models import convolution
from tests.bench.sweeping import TINY

pytestmark = pytest.mark.usefixtures("own_lock")


def test_a_row_for_each_cell_and_nothing_is_measured_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(convolution(tmp_path / f"{name}.onnx", (1, 3, 16, 12), value=value))
             for name, value in (("first", 0.5), ("second", 0.25))]  # fmt: skip
    records = tmp_path / "records"

    def measured(*given: str) -> pd.DataFrame:
        return api.measure(
            *given, plan=TINY, records=records, metric="latency", backend=("onnxruntime", "openvino"), threads=1
        )  # fmt: skip

    found = measured(*names)
    assert "4 cells: 4 records added" in capsys.readouterr().out
    assert sorted(zip(found["subject"], found["backend"], strict=True)) == sorted(
        (name, backend) for name in names for backend in ("onnxruntime", "openvino")
    )
    assert set(found["metric"]) == {"latency"}
    assert list(found["threads"]) == [1] * 4
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    one = measured(names[0])
    assert "2 cells: 0 records added, 2 there already" in capsys.readouterr().out
    assert set(one["subject"]) == {names[0]}
    pd.testing.assert_frame_equal(measured(*names), found)
    assert len(api.frame(records)) == 4


def test_a_network_that_cannot_be_measured_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        api.MeasuringError, match=r"measured of tests\.bench\.networks:pointwise, .* cudagraph runs on cuda only"
    ):
        api.measure(
            "tests.bench.networks:pointwise", records=tmp_path, metric="latency", backend="cudagraph", threads=1
        )
    assert "left out: latency of tests.bench.networks:pointwise" in capsys.readouterr().err
    assert api.frame(tmp_path).empty


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's, beside a notebook."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somebodys_networks", raising=False)
    return tmp_path / "somebodys_networks.py"


def write(path: Path, width: int, more: str = "") -> None:
    path.write_text(f"from torch import nn\n\ndef net():\n    {more}\n    return nn.Conv2d(3, {width}, 1)\n")


@pytest.mark.slow
def test_a_file_that_changes_between_two_calls_is_counted_as_it_is(mine: Path) -> None:
    def macs() -> list[int]:
        found = api.measure("somebodys_networks:net", records=mine.parent / "records", input="10x20")
        assert set(found["metric"]) == set(COUNTS)
        return [int(value) for value in found.loc[found["metric"] == "macs", "value"]]

    write(mine, 5)
    importlib.import_module("somebodys_networks")  # a notebook may have it, as it was
    assert macs() == [3 * 5 * 200]
    write(mine, 11)
    assert macs() == [3 * 11 * 200]


@pytest.mark.slow
def test_what_a_file_lacks_is_an_error(mine: Path) -> None:
    write(mine, 5)
    with pytest.raises(api.MeasuringError, match=r"^'somebodys_networks' has no 'nett'; the nearest is net$"):
        api.measure("somebodys_networks:nett", records=mine.parent / "records")


def test_a_stored_count_that_is_contradicted_is_an_error(tmp_path: Path) -> None:
    api.measure("dpn1_32", records=tmp_path)
    lines = (tmp_path / "exact" / "params.jsonl").read_text()
    (tmp_path / "exact" / "params.jsonl").write_text(lines.replace('"value":', '"value":1'))
    with pytest.raises(api.MeasuringError, match="a stored count is contradicted"):
        api.measure("dpn1_32", records=tmp_path)


def test_a_row_of_another_definition_or_of_what_nobody_asked_for_does_not_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One back end takes the network as it was, the other the network as it is."""
    name, records = str(convolution(tmp_path / "a.onnx", (1, 3, 16, 12))), tmp_path / "records"

    def measured(backend: str) -> dict[str, float]:
        found = api.measure(name, plan=TINY, records=records, metric="latency", backend=backend, threads=1)
        return dict(zip(found["backend"], found["value"], strict=True))

    first = measured("onnxruntime,openvino")
    assert set(first) == {"onnxruntime", "openvino"}
    assert set(measured("openvino")) == {"openvino"}
    convolution(tmp_path / "a.onnx", (1, 3, 16, 12), value=0.125)
    with monkeypatch.context() as patch:
        patch.setattr(
            "bench.sweeps.sweep.backends.unavailable", lambda cell: "no" if cell.backend == "openvino" else None
        )
        assert set(measured("onnxruntime,openvino")) == {"onnxruntime"}
    convolution(tmp_path / "a.onnx", (1, 3, 16, 12))
    assert measured("onnxruntime,openvino") == first  # changed back, it has its first times again
    current = api.frame(records)
    assert set(current.loc[current["metric"] == "latency", "value"]) == set(first.values())


def test_a_notebooks_own_factory_is_counted_but_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "pointwise", pointwise, raising=False)
    found = api.measure("__main__:pointwise", records=tmp_path, input="10x20")
    assert list(found.loc[found["metric"] == "macs", "value"]) == [3 * 5 * 200]
    with pytest.raises(ValueError, match=r"cannot be timed: .* write the factory into a file mine\.py"):
        api.measure("__main__:pointwise", records=tmp_path, metric="latency")


def test_a_size_may_be_a_pair_of_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "pointwise", pointwise, raising=False)
    found = api.measure("__main__:pointwise", records=tmp_path, input=(10, 20))
    assert list(found.loc[found["metric"] == "macs", "value"]) == [3 * 5 * 200]
    for wrong in ((10,), (10, 20, 3), (10.0, 20)):
        with pytest.raises(ValueError, match="an input size is HEIGHTxWIDTH"):
            api.measure("__main__:pointwise", records=tmp_path, input=wrong)


def test_a_folder_that_is_not_there_is_refused_and_an_empty_one_has_all_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "pointwise", pointwise, raising=False)
    with pytest.raises(ValueError, match=rf"^no folder {tmp_path}/nope; give a folder of records such as /"):
        api.frame(tmp_path / "nope")
    empty = api.frame(tmp_path)
    assert empty.empty
    assert list(empty) == list(api.measure("__main__:pointwise", records=tmp_path))
    assert set(empty) == rows(Store(tmp_path))[0].as_dict().keys() - {"protocol"} | set(PROTOCOL)


def test_what_is_no_name_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"takes the names of networks, not a function; write the factory into a file"):
        api.measure(pointwise, records=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing to measure; name a network"):
        api.measure(records=tmp_path)


def test_counts_come_without_a_plan(tmp_path: Path) -> None:
    found = api.measure("dpn1_32", records=tmp_path)
    assert set(found["metric"]) == set(COUNTS)
    assert set(found["machine"]) == {"exact"}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"metric": "speed"}, "none of counts, latency, throughput, memory, energy"),
        ({"metric": "latency", "backend": ["eager", "tflite"]}, "'tflite' is none of eager, channels_last"),
        ({"metric": "latency", "threads": 0}, "from 1 to 4096"),
        ({"bakend": "eager"}, "no choice 'bakend'; it has input, metric, device, backend"),
    ],
)
def test_an_unknown_choice_names_the_known_ones(tmp_path: Path, choices: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        api.measure("dpn1_32", records=tmp_path, **choices)
