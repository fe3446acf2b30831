"""The figures of fields and gridding: their data against brute force and the checked facts, their marks as artists."""

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from analysis.evidence import Evidence
from analysis.plots import figure_2, figure_bounded, figure_orders, figure_tapestry, style
from analysis.plots.schedules import TAPESTRIES
from analysis.receptive_fields.stacks import stack
from dpn import dilation

FIGURE_2 = {"a": (1, 1, 1), "b": (2, 2, 2), "c": (4, 2, 1), "d": (1, 2, 4)}
"""Places, in input positions, between the taps of each layer of Figure 2, input to output; (d) strides by two."""

DPM_OVERLAP = (0.992, 0.984, 0.968, 0.933, 0.857, 0.667)
REVERSED_COVERAGE = (1, 0.504, 0.256, 0.133, 0.072, 0.046)


@pytest.fixture(scope="module")
def two() -> pd.DataFrame:
    return figure_2.data(Evidence())


@pytest.fixture(scope="module")
def tapestry() -> pd.DataFrame:
    return figure_tapestry.data(Evidence())


@pytest.fixture(scope="module")
def permuted() -> pd.DataFrame:
    return figure_orders.data(Evidence())


@pytest.fixture(scope="module")
def bounded() -> pd.DataFrame:
    return figure_bounded.data(Evidence())


def drawn(draw, data: pd.DataFrame):
    with style.figure_style():
        figure = draw(data)
        figure.draw_without_rendering()
    return figure


def words(figure) -> list[str]:
    return [text.get_text() for text in (*figure.texts, *(text for axes in figure.axes for text in axes.texts))]


def points(collection) -> list[tuple[float, ...]]:
    return [tuple(map(float, point)) for point in collection.get_offsets()]


def boxes(patch) -> list[tuple[float, float, float, float]]:
    """Left, bottom, right and top of each box of a compound path."""
    corners = patch.get_path().vertices.reshape(-1, 5, 2)
    return [(*low, *high) for low, high in zip(corners.min(axis=1).tolist(), corners.max(axis=1).tolist(), strict=True)]


# Figure 2


@pytest.mark.parametrize("panel", FIGURE_2)
@pytest.mark.parametrize("k", range(4))
def test_figure_2_has_the_paths_that_an_enumeration_finds(two: pd.DataFrame, panel: str, k: int) -> None:
    above = FIGURE_2[panel][k:]
    ends = (sum(step * tap for step, tap in zip(above, taps, strict=True)) for taps in
            itertools.product((-1, 0, 1), repeat=len(above)))  # fmt: skip
    rows = two[(two.panel == panel) & (two["map"] == k)]
    read = rows[rows.paths > 0]
    assert dict(zip(read.place, read.paths, strict=True)) == Counter(ends)
    assert len(set(rows.place)) == len(rows)
    assert rows.place.min() == -rows.place.max() == -8
    assert set(rows.rf) == {2 * sum(above) // (math.prod((2,) * k) if panel == "d" else 1) + 1}


def test_figure_2_agrees_with_the_papers_equations(two: pd.DataFrame) -> None:
    found = {letter: figure_2.summary(rows) for letter, rows in two.groupby("panel")}
    normal, dilated, strided, jump = 1, 1, 1, 1
    for _ in range(3):
        normal = dilation.rf_after_convolution(normal, 3)
        dilated = dilation.rf_after_dilated(dilated, 3, 2)
        strided, jump = dilation.rf_after_strided(strided, 3, jump), dilation.jump_after_strided(jump, 2)
    assert {letter: rf for letter, (rf, _) in found.items()} == {
        "a": normal, "b": dilated, "c": dilation.rf_pyramid(3, 3), "d": strided,
    }  # fmt: skip
    assert {letter: read for letter, (_, read) in found.items()} == {"a": 7, "b": 7, "c": 15, "d": 15}
    layers = two[(two["map"] > 0) & (two.position == 0)]
    steps = layers.groupby("panel").apply(lambda rows: list(zip(rows.dilation, rows.stride, strict=True)))
    assert steps.to_dict() == {
        "a": [(1, 1)] * 3, "b": [(2, 1)] * 3, "c": [(4, 1), (2, 1), (1, 1)], "d": [(1, 2)] * 3,
    }  # fmt: skip


def test_figure_2_draws_a_circle_for_each_position_and_a_line_for_each_tap(two: pd.DataFrame) -> None:
    figure = drawn(figure_2.draw, two)
    for axes, (letter, rows) in zip(figure.axes, two.groupby("panel"), strict=True):
        taps, unread, read = axes.collections
        filled = rows[rows.paths > 0]
        assert points(read) == list(zip(filled.place, filled["map"], strict=True))
        assert np.allclose(read.get_sizes() / figure_2.ONE_PATH_PT**2, filled.paths)
        hollow = rows[rows.paths == 0]
        assert points(unread) == list(zip(hollow.place, hollow["map"], strict=True))
        expected = {
            ((place, k), (place + tap * FIGURE_2[letter][k - 1], k - 1))
            for place, k in zip(filled.place, filled["map"], strict=True) if k for tap in (-1, 0, 1)
        }  # fmt: skip
        lines = [tuple(tuple(end) for end in line) for line in taps.get_segments()]
        assert set(lines) == expected
        assert len(lines) == len(expected)
        counts = [int(text.get_text()) for text in axes.texts if text.get_text().isdigit()]
        assert counts == filled[filled["map"] == 0].paths.tolist()
    assert [text for text in words(figure) if text.startswith("RF")] == [
        "RF 7, support 7: 100 % read", "RF 13, support 7: 54 % read",
        "RF 15, support 15: 100 % read", "RF 15, support 15: 100 % read",
    ]  # fmt: skip
    assert "(b) dilated: receptive field 13, 7 of it read, paths from left to right 1 0 3 0 6 0 7" in figure_2.alt(two)


# Tapestry


@pytest.mark.parametrize("schedule", TAPESTRIES)
def test_the_tapestry_is_what_the_engine_reads_for_two_outputs(tapestry: pd.DataFrame, schedule: str) -> None:
    graph = stack(TAPESTRIES[schedule], (1, 161))  # so wide that no cone meets an end
    fields = graph.backward("output", [(0, 80), (0, 81)])
    rows = tapestry[tapestry.schedule == schedule]
    for k, field in fields.items():
        u, after = field.support[:, 0]
        here = rows[rows["map"] == k]
        for readers, expected in (("u", u & ~after), ("next", after & ~u), ("both", u & after)):
            assert here[here.readers == readers].position.tolist() == (np.flatnonzero(expected) - 80).tolist()
        span = np.ptp(np.flatnonzero(u)) + 1
        assert set(here.coverage) == {u.sum() / span}
        assert here.overlap.isna().all() if k == 6 else set(here.overlap) == {(u & after).sum() / u.sum()}


def by_map(rows: pd.DataFrame, column: str) -> list[float]:
    return rows.drop_duplicates("map").sort_values("map")[column].tolist()[:-1]


def test_same_coverage_of_the_input_but_different_wiring(tapestry: pd.DataFrame) -> None:
    dpm, reverse = (tapestry[tapestry.schedule == name] for name in ("dpm", "reversed"))
    assert by_map(dpm, "coverage") == [1] * 6
    assert by_map(dpm, "overlap") == pytest.approx(DPM_OVERLAP, abs=5e-4)
    assert by_map(reverse, "coverage") == pytest.approx(REVERSED_COVERAGE, abs=5e-4)
    assert by_map(reverse, "overlap") == [pytest.approx(0.992, abs=5e-4), 0, 0, 0, 0, 0]
    inputs = [rows[rows["map"] == 0][["position", "readers"]].to_numpy().tolist() for rows in (dpm, reverse)]
    assert inputs[0] == inputs[1]


def test_the_tapestrys_shapes_are_its_positions(tapestry: pd.DataFrame) -> None:
    figure = drawn(figure_tapestry.draw, tapestry)
    for axes, (_, rows) in zip(figure.axes, tapestry.groupby("schedule", sort=False), strict=False):
        found = set()
        strip, *patches = axes.patches
        names = [name for name in figure_tapestry.TRACKS if (rows.readers == name).any()]
        for name, patch in zip(names, patches, strict=True):
            bottom, top = figure_tapestry.TRACKS[name]
            for left, low, right, high in boxes(patch):
                k = round(low - bottom)
                assert (low, high) == pytest.approx((k + bottom, k + top))
                found |= {(k, place, name) for place in range(round(left + 0.5), round(right + 0.5))}
        assert found == set(zip(rows["map"], rows.position, rows.readers, strict=True))
        spans = rows.groupby("map").position.agg(["min", "max"])
        assert [(left + 0.5, right - 0.5) for left, _, right, _ in boxes(strip)] == [*map(tuple, spans.to_numpy())]


def test_the_tapestry_prints_coverage_and_overlap_of_each_row(tapestry: pd.DataFrame) -> None:
    figure = drawn(figure_tapestry.draw, tapestry)
    reverse = [text.get_text() for text in figure.axes[1].texts]
    assert reverse == [
        "100 %", "99 %", "50 %", "0 %", "26 %", "0 %", "13 %", "0 %", "7.2 %", "0 %", "4.6 %", "0 %", "100 %", "–",
    ]  # fmt: skip
    assert [text for text in words(figure) if "d =" in text] == [
        "DPM, d = 32, 16, 8, 4, 2, 1", "reversed, d = 1, 2, 4, 8, 16, 32", "constant, d = 8", "normal, d = 1",
    ]  # fmt: skip
    assert "reversed, d = 1, 2, 4, 8, 16, 32: coverage 100 %, 50 %, 26 %" in figure_tapestry.alt(tapestry)


def test_three_readers_differ_in_form_and_in_colours_that_are_told_apart() -> None:
    assert set(figure_tapestry.TRACKS) == set(style.READERS)
    assert len(set(figure_tapestry.TRACKS.values())) == 3
    checked = {(look.on_light, look.on_dark) for look in style.SCHEDULES.values()}  # see test_figures
    assert {(look.on_light, look.on_dark) for look in (*style.READERS.values(), style.HDC)} <= checked
    assert len({look.on_light for look in style.READERS.values()}) == 3


# Orders


def test_dpm_is_the_one_best_of_all_orders_by_overlap(permuted: pd.DataFrame) -> None:
    assert len(permuted) == permuted.dilations.nunique() == math.factorial(6)
    best = permuted.mean_interior_overlap.max()
    assert permuted[permuted.mean_interior_overlap == best].schedule.tolist() == ["dpm"]
    assert permuted.schedule.iloc[0] == "dpm"
    rows = permuted[permuted.schedule != ""].set_index("schedule")
    assert rows.loc["dpm", ["mean_backward_coverage", "hdc_m2", "hdc_passes"]].tolist() == [1, 21, False]
    assert rows.loc["reversed", ["mean_interior_overlap", "hdc_m2", "hdc_passes"]].tolist() == [0, 2, True]
    assert best == pytest.approx(0.882, abs=5e-4)
    assert rows.loc["reversed", "mean_backward_coverage"] == pytest.approx(0.335, abs=5e-4)
    assert permuted.hdc_passes.sum() == 25


def test_orders_and_tapestry_agree(permuted: pd.DataFrame, tapestry: pd.DataFrame) -> None:
    for schedule in ("dpm", "reversed"):
        row = permuted[permuted.schedule == schedule].iloc[0]
        rows = tapestry[tapestry.schedule == schedule]
        assert row.mean_backward_coverage == pytest.approx(np.mean(by_map(rows, "coverage")))
        assert row.mean_interior_overlap == pytest.approx(np.mean(by_map(rows, "overlap")[1:]))


def test_neighbours_share_nothing_exactly_where_the_first_layer_has_dilation_1(permuted: pd.DataFrame) -> None:
    nothing = permuted.mean_interior_overlap == 0
    assert (nothing == permuted.dilations.str.startswith("1 ")).all()
    assert "d = 1 in the first layer (120)" in words(drawn(figure_orders.draw, permuted))
    mixed = permuted.assign(mean_interior_overlap=permuted.mean_interior_overlap.where(permuted.index > 2, 0))
    assert not any("first layer" in text for text in words(drawn(figure_orders.draw, mixed)))


def test_orders_draws_a_dot_for_each_a_diamond_where_the_rule_passes_and_two_names(permuted: pd.DataFrame) -> None:
    (axes,) = drawn(figure_orders.draw, permuted).axes
    dots, diamonds = axes.collections
    percent = 100 * permuted[["mean_backward_coverage", "mean_interior_overlap"]].to_numpy()
    assert np.allclose(dots.get_offsets(), percent)
    assert np.allclose(diamonds.get_offsets(), percent[permuted.hdc_passes])
    named = permuted[permuted.schedule != ""]
    assert [line.get_xydata()[0].tolist() for line in axes.lines] == percent[named.index].tolist()
    looks = [(line.get_marker(), line.get_color()) for line in axes.lines]
    assert looks == [(look.marker, look.on_light) for look in map(style.SCHEDULES.get, ("dpm", "reversed"))]
    assert {"DPM", "reversed"} <= {text.get_text() for text in axes.texts}
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert ((percent > (left, bottom)) & (percent < (right, top))).all()
    assert "The most overlap has 32 16 8 4 2 1; 120 orders have none; 25 pass" in figure_orders.alt(permuted)


# Bounded maps


def values(data: pd.DataFrame, quantity: str, size: str) -> list[float]:
    return data[(data.quantity == quantity) & (data["map"] == size)].value.tolist()


@pytest.mark.parametrize(("size", "height", "width"), [("32×24", 32, 24), ("64×48", 64, 48)])
def test_live_shares_follow_the_formula(bounded: pd.DataFrame, size: str, height: int, width: int) -> None:
    steps = (32, 16, 8, 4, 2, 1)
    shares = [math.prod((1 + 2 * max(0, n - d) / n) / 3 for n in (height, width)) for d in steps]
    assert values(bounded, "taps", size) == pytest.approx(shares)
    rows = bounded[(bounded.quantity == "taps") & (bounded["map"] == size)]
    assert rows.dilation.tolist() == list(steps)
    assert rows[rows.is_1x1].dilation.tolist() == ([32] if size == "32×24" else [])
    ends, middle = 6 * 2 * 256 * 64 * height * width, 64 * 64 * 9 * height * width
    assert values(bounded, "nominal macs", size) == [ends + 6 * middle]
    assert values(bounded, "live macs", size) == [pytest.approx(ends + middle * sum(shares))]


def test_bounded_numbers_are_the_checked_ones(bounded: pd.DataFrame) -> None:
    assert values(bounded, "taps", "32×24")[0] == 1 / 9
    assert np.mean(values(bounded, "taps", "32×24")) == pytest.approx(0.6336, abs=5e-5)
    assert np.mean(values(bounded, "taps", "64×48")) == pytest.approx(0.7777, abs=5e-5)
    (nominal,), (live,) = (values(bounded, f"{kind} macs", "32×24") for kind in ("nominal", "live"))
    assert (nominal / 1e6, live / 1e6) == pytest.approx((320.86, 258.62), abs=5e-3)
    assert 1 - live / nominal == pytest.approx(0.194, abs=5e-4)
    assert values(bounded, "inputs", "32×24") == pytest.approx([0.801, 0.717], abs=5e-4)
    assert values(bounded, "inputs", "64×48") == pytest.approx([0.777, 0.696], abs=5e-4)
    assert bounded[bounded.quantity == "inputs"].schedule.tolist() == ["dpm", "reversed"] * 2


def test_effective_inputs_are_those_of_the_engines_paths(bounded: pd.DataFrame) -> None:
    for schedule, expected in zip(("dpm", "reversed"), values(bounded, "inputs", "32×24"), strict=True):
        graph = stack(TAPESTRIES[schedule], (32, 24))
        units = list(itertools.product(range(32), range(24)))
        paths = graph.backward("output", units, kind="share", to=[0])[0].values.reshape(len(units), -1)
        shares = paths / paths.sum(axis=1, keepdims=True)
        entropy = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)
        assert (2**entropy).mean() / (32 * 24) == pytest.approx(expected)


def test_bounded_draws_every_number_at_its_place(bounded: pd.DataFrame) -> None:
    figure = drawn(figure_bounded.draw, bounded)
    upper, middle, lower = figure.axes
    for axes, quantity in ((upper, "taps"), (lower, "inputs")):
        rows = bounded[bounded.quantity == quantity]
        column = rows.dilation if quantity == "taps" else rows.schedule
        places = [list(dict.fromkeys(column)).index(one) for one in column]
        sizes = {"32×24": "o", "64×48": "^"}
        expected = sorted(zip(rows["map"].map(sizes), places, 100 * rows.value, strict=True))
        found = sorted((line.get_marker(), *line.get_xydata()[0, ::-1].tolist()) for line in axes.lines)
        assert [one[:2] for one in found] == [one[:2] for one in expected]
        assert [one[2] for one in found] == pytest.approx([one[2] for one in expected])
    nominal, live = (bounded[bounded.quantity == f"{kind} macs"].value / 1e6 for kind in ("nominal", "live"))
    assert [bar.get_width() for bar in middle.patches] == pytest.approx([*nominal, *live])
    assert all(bar.get_x() == 0 for bar in middle.patches)
    assert [text.get_text() for text in middle.texts] == [
        "258.6 of 320.9\n80.6 % live", "1132.4 of 1283.5\n88.2 % live",
    ]  # fmt: skip
    assert sorted(text.get_text() for text in lower.texts) == ["69.6", "71.7", "77.7", "80.1"]
    (guide,) = (lines for lines in upper.collections if len(lines.get_segments()) == 1)
    assert guide.get_segments()[0][:, 0].tolist() == pytest.approx([100 / 9] * 2)
    told = figure_bounded.alt(bounded)
    assert "d = 32 11.1 %" in told
    assert told.count("is a 1×1 convolution") == 1
    assert "of a module's 320.9 million multiply-adds 258.6 are live" in told


@pytest.mark.parametrize("name", ["two", "tapestry", "permuted", "bounded"])
def test_no_mark_stands_twice_in_the_data(name: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(name)
    assert not data.duplicated().any()
    assert len(data) > 0
