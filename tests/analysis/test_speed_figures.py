"""Figures of speed with made-up times: every network at its numbers, nothing over another."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from analysis.catalogue.figures import FIGURES
from analysis.evidence import Evidence
from analysis.plots import figure_latency, figure_roofline
from analysis.timing.speed_data import correlation, in_words
from dpn.zoo import ZOO
from tests.analysis import made_up_speed as made_up
from tests.analysis.test_figures import assert_readable, drawn, marks
from tests.bench.timing_records import timing_record

NETWORKS = Evidence().networks


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Every network of the zoo in four settings, and one on a second machine."""
    store = made_up.fill(tmp_path_factory.mktemp("records"), names=NETWORKS)
    store.append(timing_record("dpn4_64", [[0.002]] * 5, machine="a-gpu", device="cuda",
                               spec_digest=ZOO["dpn4_64"].digest()))  # fmt: skip
    return Evidence(records_root=store.root)


@pytest.mark.parametrize("figure_id", ["figure-latency", "figure-roofline"])
def test_no_text_overlaps_another_or_leaves_the_figure(figure_id: str, whole: Evidence) -> None:
    assert_readable(drawn(figure_id, whole))


def test_each_network_stands_at_its_cost_and_its_time(whole: Evidence) -> None:
    data = figure_latency.data(whole)
    shown = data[data.drawn]
    assert len(shown) == len(NETWORKS)
    assert len(data) == 4 * len(NETWORKS) + 1
    assert set(data.confidence) == {0.95}
    for axes, column in zip(drawn("figure-latency", whole).axes, ("macs", "live_macs"), strict=True):
        expected = sorted(zip(shown[column].astype(float) / 1e9, 1e3 * shown.seconds, strict=True))
        assert np.array(sorted(marks(axes))) == pytest.approx(np.array(expected))
        bars = [line.get_ydata() for line in axes.lines if len(line.get_xydata()) == 2]
        assert len(bars) == len(NETWORKS)
        assert sorted(float(bar[0]) for bar in bars) == pytest.approx(sorted(1e3 * shown.low))


def test_times_of_batches_are_times_of_an_image(tmp_path: Path) -> None:
    store = made_up.fill(tmp_path, names=("hrnet_w32",))
    for name in ("dpn4_32", "dpn4_64"):
        spec = ZOO[name]
        for metric in ("macs", "live_macs"):
            store.append(made_up.committed().find(spec, metric).record)
        store.append(timing_record(name, [[0.8]] * 5, spec_digest=spec.digest(), batch=8))
    axes = drawn("figure-latency", Evidence(records_root=tmp_path)).axes
    assert {round(y) for _, y in marks(axes[0])} == {100}
    told = figure_latency.alt(figure_latency.data(Evidence(records_root=tmp_path)))
    assert "from 100 to 100 ms an image" in told


def test_the_names_are_the_papers_and_each_stands_once(whole: Evidence) -> None:
    data = figure_latency.data(whole)
    labels = [label for label in data[data.drawn].label if label]
    assert len(set(labels)) == len(labels)
    assert {"DPN4_64", "DPN2_hrnet", "HRNet-w32", "Mask-RCNN", "PIL"} <= set(labels)


def test_the_order_is_kendalls(whole: Evidence) -> None:
    data = figure_latency.data(whole)
    shown = data[data.drawn]
    found = correlation(data, "macs")
    assert found is not None
    assert found[0] == pytest.approx(kendalltau(shown.macs.astype(float), shown.seconds).statistic)
    assert in_words(found) in drawn("figure-latency", whole).axes[0].get_title(loc="left")
    assert correlation(data[data.subject.isin(["dpn4_32", "dpn4_64"])], "macs") is None
    of_one_cost = shown.assign(macs=shown.macs.iloc[0])  # such as the rows of one table of ablations
    assert correlation(of_one_cost, "live_macs") is None


def test_a_sentence_about_time_loads_no_matplotlib() -> None:
    program = "import sys, analysis.timing.speed_answer; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_a_line_is_one_speed(whole: Evidence) -> None:
    """Made-up networks without dilation reach 20 G/s and DPNs 10: the lines around them say so."""
    axes = drawn("figure-latency", whole).axes[0]
    (lines,) = axes.collections
    speeds = {round(1e3 * x / y, 6) for (x, y), _ in lines.get_segments()}
    assert 10 in speeds
    for segment in lines.get_segments():
        first, second = (1e3 * x / y for x, y in segment)
        assert first == pytest.approx(second)


def test_strips_show_every_share_of_the_first_machine(whole: Evidence) -> None:
    data = figure_roofline.data(whole)
    assert data.drawn.all()  # the other machine has no share
    (axes,) = drawn("figure-roofline", whole).axes
    shares = sorted(x for strip in axes.collections for x, _ in strip.get_offsets())
    assert shares == pytest.approx(sorted(100 * data.share))
    assert [label.get_text() for label in axes.get_yticklabels()] == list(dict.fromkeys(data.setting))
    words = FIGURES["figure-roofline"].alt(data)
    assert "eager, 1 thread, other: 33 %; eager, 1 thread, DPN: 17 %" in words


def test_kinds_of_network_stand_apart_without_colour(whole: Evidence) -> None:
    (axes,) = drawn("figure-roofline", whole).axes
    heights = {round(float(y), 3) for strip in axes.collections for _, y in strip.get_offsets()}
    assert len(heights) == 2 * 4
