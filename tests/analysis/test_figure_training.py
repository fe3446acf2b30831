"""Training curves, read as artists: every seed, their mean, one colour for a schedule and one dash for a depth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.evidence import Evidence
from analysis.plots import figure_training, style
from analysis.plots.figure_training import DASHES, MEAN, apart
from analysis.trained.trained_runs import TABLES
from tests.analysis.made_up_runs import evidence_of
from tests.analysis.test_figures import assert_readable

EMPTY = Evidence(records_root=Path("/nonexistent"))


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """All of the quick budget, and a little of the other."""
    folder = tmp_path_factory.mktemp("curves")
    evidence_of(folder / "all")
    store = evidence_of(folder / "all" / "full", budget="full", names=["dpn1_64", "dpn2_64"], seeds=2).store
    both = Evidence(records_root=folder / "all" / "records")
    for record in store.records:
        both.store.append(record)
    return figure_training.data(both)


def test_each_table_has_its_networks_with_seeds_and_mean(data: pd.DataFrame) -> None:
    quick = data[data.budget == "quick"]
    assert quick.groupby("table").network.nunique().to_dict() == {
        "table-2": 8, "table-3": 12, "table-4": 8, "table-5": 8
    }  # fmt: skip
    assert set(quick.groupby(["table", "network"]).seed.nunique()) == {4}
    assert set(data[data.budget == "full"].groupby(["table", "network"]).seed.nunique()) == {3}
    one = quick[(quick.table == "table-2") & (quick.network == "dpn2_32_normal_lite")]
    by_seed = one[one.seed != MEAN].pivot_table(index="step", columns="seed", values="score")
    assert np.allclose(one[one.seed == MEAN].score, by_seed.mean(axis=1))
    assert one.score.max() > 1  # in percent


def test_what_is_drawn_is_the_data(data: pd.DataFrame) -> None:
    with style.figure_style():
        figure = figure_training.draw(data)
        figure.draw_without_rendering()
        assert_readable(figure)
    assert len(figure.axes) == 2 * len(TABLES)
    first = {line.get_gid(): line for line in figure.axes[0].lines}
    assert len(first) == 8 * 4
    mean = first[f"dpn4_32_lite:{MEAN}"]
    expected = data[(data.table == "table-2") & (data.network == "dpn4_32_lite") & (data.seed == MEAN)]
    assert np.allclose(mean.get_xydata(), expected[["step", "score"]])
    assert mean.get_linewidth() > 2 * first["dpn4_32_lite:0"].get_linewidth()
    assert mean.get_color() == style.SCHEDULES["dpm"].on_light
    assert first[f"dpn4_32_normal_lite:{MEAN}"].get_color() == style.SCHEDULES["normal"].on_light
    assert len({str(dash) for dash in DASHES.values()}) == len(DASHES) == 4


def test_one_budget_has_the_whole_width(data: pd.DataFrame) -> None:
    with style.figure_style(dark=True):
        both, quick = (figure_training.draw(part) for part in (data, data[data.budget == "quick"]))
        quick.draw_without_rendering()
        assert_readable(quick)
    assert quick.axes[0].get_position().width > 1.8 * both.axes[0].get_position().width


def test_nothing_pretends(data: pd.DataFrame) -> None:
    with style.figure_style():
        figure = figure_training.draw(figure_training.data(EMPTY))
        figure.draw_without_rendering()
        assert_readable(figure)
    (axes,) = figure.axes
    assert [len(axes.lines), "nothing is trained yet" in axes.texts[0].get_text()] == [0, True]
    assert "nothing is trained" in figure_training.alt(figure_training.data(EMPTY))
    assert "Table III, quick budget, dpn4_32_d8_lite:" in figure_training.alt(data)


def test_labels_move_apart_as_little_as_can_be() -> None:
    values = sorted(np.random.default_rng(0).uniform(0, 10, 12))
    places = apart(values, 1.0, (-1.0, 13.0))
    assert np.diff(places).min() > 1 - 1e-9
    assert places[0] >= -1
    assert places[-1] <= 13
    assert apart([0.0, 5.0], 1.0, (0.0, 9.0)) == [0.0, 5.0]
    assert apart([0.0, 0.2, 5.0], 1.0, (0.0, 9.0)) == [0.0, 1.0, 5.0]  # none below the axis, where its numbers are
