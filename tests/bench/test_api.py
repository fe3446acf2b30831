"""Measuring from a notebook."""

from pathlib import Path

import pandas as pd
import pytest

from bench import api
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


def test_counts_come_without_a_plan(tmp_path: Path) -> None:
    found = api.measure("dpn1_32", records=tmp_path)
    assert "macs" in set(found["metric"])
    assert set(found["machine"]) == {"exact"}


def test_a_network_that_cannot_be_measured_gives_no_row(tmp_path: Path) -> None:
    found = api.measure(
        "tests.bench.networks:pointwise", records=tmp_path, metric="latency", backend="cudagraph", threads=1
    )
    assert found.empty
    assert {"subject", "backend"} <= set(found.columns)


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
