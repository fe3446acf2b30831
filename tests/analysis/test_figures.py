"""Figures, read as artists and as bytes: marks at their numbers, no text over another, nothing that pretends."""

import base64
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation, Text

from analysis.catalogue.figures import FIGURES
from analysis.evidence import Evidence
from analysis.plots import figure_3, figure_efficiency, figure_files, figure_layers, style
from analysis.plots.labels import place_labels, text_box
from bench.counts.conventions import AT_OUTPUT, KINDS
from bench.records.record import EXACT, METRICS, Record
from bench.records.store import RECORDS, Store
from dpn.spec import DPNSpec, ModelSpec, replace
from dpn.zoo import ZOO
from tests.analysis import made_up_speed

ROOT = Path(__file__).resolve().parents[2]
RIVALS = {"hourglass8": 25_437_960, "cpn_r50": 26_985_826, "sbl_r50": 33_999_697, "hrnet_w32": 28_536_113,
          "hrnet_w48": 63_595_745, "dpn2_hrnet": 29_458_513}  # fmt: skip


class Rival(ModelSpec):
    family: ClassVar[str] = "rival"


class Hybrid(ModelSpec):
    family: ClassVar[str] = "dpn_hrnet"


def record(spec: ModelSpec, metric: str, value: int, detail: dict | None = None) -> Record:
    if metric == "macs":
        detail = {"by_kind": dict.fromkeys((*KINDS, AT_OUTPUT), 0) | {"convolution": value}}
    return Record(
        subject=spec.name, spec_digest=spec.digest(), metric=metric, metric_version=METRICS[metric].version,
        unit=METRICS[metric].unit, value=value, protocol={"input_hw": list(spec.input_hw), "batch": 1},
        detail=detail or {}, machine=EXACT, versions={}, commit="unknown", dirty=False,
        recorded_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def constructed_counts(spec: DPNSpec) -> tuple[int, int]:
    """Not the networks' true costs, but like them: equal for all dilations, and live shares that fall with dilation."""
    scale = spec.width**2 // 1024 * (4 if spec.conv2_stride == 1 else 1)
    macs = (
        800_000_000 * (1 + spec.width // 64) * (3 if spec.conv2_stride == 1 else 1) + 80_000_000 * scale * spec.modules
    )
    return macs, macs - sum(spec.dilations) * 200_000 * scale * spec.modules


def constructed_layers(spec: DPNSpec) -> dict[str, list]:
    """Two operators in each stage, and in each module a 1x1 and the dilated convolutions."""
    rows = [(f"{stage}.{i}", 1, 1, 300, 297) for stage in ("conv0", "conv1", "conv2") for i in (0, 1)]
    for n in range(1, spec.modules + 1):
        for block, d in enumerate(spec.dilations):
            rows += [(f"dpm.{n}.{block}.conv1", 1, 1, 40, 40), (f"dpm.{n}.{block}.conv2", 3, d, 90, 90 - 2 * d)]
    rows += [("fuse.0", 1, 1, 30, 30), ("heatmap", 1, 1, 10, 10)]
    module, kernel, step, macs, live = (list(column) for column in zip(*rows, strict=True))
    macs, live = ([10**6 * count for count in counts] for counts in (macs, live))
    others = ("out_channels", "params", "activations", "weight_bytes", "activation_bytes")
    return {"module": module, "kernel": [[k, k] for k in kernel], "dilation": [[d, d] for d in step],
            "macs": macs, "live_macs": live, **dict.fromkeys(others, [1] * len(rows))}  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Evidence in which everything that the figures show is measured."""
    rivals = {
        name: (Hybrid if name.startswith("dpn") else Rival)(name=name, joints=100 + i) for i, name in enumerate(RIVALS)
    }
    zoo = {**ZOO, **rivals}
    root = tmp_path_factory.mktemp("records")
    store = Store(root)
    for name, params in RIVALS.items():
        store.append(record(zoo[name], "params", params))
    store.append(record(zoo["dpn2_hrnet"], "macs", 8_353_000_000))
    store.append(record(zoo["dpn2_hrnet"], "live_macs", 8_153_000_000))
    for spec in ZOO.values():
        if isinstance(spec, DPNSpec) and spec.input_hw == (256, 192) and spec.reading == "costed":
            macs, live = constructed_counts(spec)
            store.append(record(spec, "macs", macs))
            store.append(record(spec, "live_macs", live))
    for name, params in {"dpn4_32": 704_209, "dpn4_64": 3_336_529}.items():
        store.append(record(ZOO[name], "params", params))
        store.append(record(ZOO[name], "layers", 1, {"columns": constructed_layers(ZOO[name]), "maps": {}}))
    return Evidence(records_root=root, zoo=zoo)


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return Evidence(records_root=tmp_path_factory.mktemp("no_records"))


def drawn(figure_id: str, evidence: Evidence, dark: bool = False):
    with style.figure_style(dark):
        drawing = FIGURES[figure_id]
        figure = drawing.draw(drawing.data(evidence))
        figure.draw_without_rendering()
    return figure


def texts_of(figure) -> list[tuple[str, object]]:
    """Every text that is seen, with its box; labels of ticks outside the limits are artists that nobody sees."""
    unseen = set()
    for axis in itertools.chain(*((axes.xaxis, axes.yaxis) for axes in figure.axes)):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        unseen |= {tick.label1 for tick in axis.get_major_ticks() if not low - slack <= tick.get_loc() <= high + slack}
        unseen |= set(axis.findobj(Text)) if not axis.axes.axison else set()
    seen = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in unseen]
    return [(text.get_text(), text_box(text)) for text in seen]


def assert_readable(figure) -> None:
    page = figure.bbox
    found = texts_of(figure)
    assert found
    for words, box in found:
        margins = box.x0 - page.x0, page.x1 - box.x1, box.y0 - page.y0, page.y1 - box.y1
        assert min(margins) >= 0, f"{words!r} leaves the figure by {-min(margins)} pixels"
    for (words, a), (others, b) in itertools.combinations(found, 2):
        shared = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(shared) <= 0.5, f"{words!r} and {others!r} overlap by {shared} pixels"
    for axes in figure.axes:
        labels = [text for text in axes.texts if isinstance(text, Annotation)]
        for label, line in itertools.product(labels, axes.lines):
            box, mark = text_box(label), line.get_window_extent()
            assert not box.overlaps(mark), f"{label.get_text()!r} lies over a mark at {line.get_xydata()}"


def marks(axes) -> list[tuple[float, float]]:
    return [tuple(map(float, line.get_xydata()[0])) for line in axes.lines if len(line.get_xydata()) == 1]


@pytest.mark.parametrize("figure_id", FIGURES)
@pytest.mark.parametrize("evidence", ["full", "nothing"])
def test_every_figure_is_readable_and_one_column_wide(figure_id, evidence, request) -> None:
    figure = drawn(figure_id, request.getfixturevalue(evidence))
    assert_readable(figure)
    assert figure.get_size_inches()[0] == pytest.approx(3.487)
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 6.5


def test_a_dark_figure_differs_from_a_light_one_in_colours_only(full: Evidence) -> None:
    settings = []
    for dark in (False, True):
        with style.figure_style(dark):
            settings.append(dict(matplotlib.rcParams))
    differing = {name for name in settings[0] if settings[0][name] != settings[1][name]}
    assert differing
    assert all("color" in name for name in differing)
    light, dark = (texts_of(drawn("figure-efficiency", full, dark)) for dark in (False, True))
    assert [(words, box.bounds) for words, box in light] == [(words, box.bounds) for words, box in dark]


@pytest.mark.skipif(not (RECORDS / EXACT).is_dir(), reason="nothing is measured in this checkout")
@pytest.mark.parametrize("figure_id", FIGURES)
def test_the_checkouts_own_figures_are_readable(figure_id: str, committed: Evidence) -> None:
    assert_readable(drawn(figure_id, committed))


def test_the_overlap_check_can_fail() -> None:
    with style.figure_style():
        figure = style.canvas(1.0)
        figure.text(0.4, 0.5, "one")
        figure.text(0.42, 0.5, "two")
        with pytest.raises(AssertionError, match="overlap"):
            assert_readable(figure)


def test_labels_of_a_tight_cluster_are_kept_apart_and_off_the_marks() -> None:
    points = [(0.50, 0.50), (0.51, 0.52), (0.53, 0.49), (0.49, 0.47), (0.98, 0.98), (0.02, 0.03)]
    with style.figure_style():
        figure = style.canvas(2.5)
        axes = style.panel(figure, 0.4, 0.1, 3.0, 2.0)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        for x, y in points:
            axes.plot([x], [y], "o", markersize=4)
        placed = place_labels(axes, [(x, y, f"network {i}") for i, (x, y) in enumerate(points)])
        figure.draw_without_rendering()
        assert_readable(figure)
    assert [label.get_text() for label in placed] == [f"network {i}" for i in range(6)]
    assert [label.xy for label in placed] == points


def test_no_label_seems_to_name_another_point() -> None:
    """Neither by standing as near to it, nor by a leader that passes it."""
    points = [(0.40, 0.50), (0.44, 0.51), (0.48, 0.50), (0.44, 0.46), (0.45, 0.56)]
    with style.figure_style():
        figure = style.canvas(2.5)
        axes = style.panel(figure, 0.4, 0.1, 3.0, 2.0)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        placed = place_labels(axes, [(x, y, f"network {i}") for i, (x, y) in enumerate(points)])
        figure.draw_without_rendering()
        pixels = axes.transData.transform(points)
        for own, label in enumerate(placed):
            box = text_box(label)
            gaps = np.maximum(np.maximum(box.min - pixels, pixels - box.max), 0)
            distances = np.hypot(*gaps.T)
            if label.arrow_patch is None:
                assert distances.argmin() == own
                assert np.delete(distances, own).min() > 1.3 * distances[own]
            else:
                line = label.arrow_patch.get_path().interpolated(50)
                along = label.arrow_patch.get_transform().transform(line.vertices)
                apart = np.linalg.norm(along[:, None] - np.delete(pixels, own, axis=0), axis=-1)
                assert apart.min() > 2 * style.PNG_DPI / style.POINTS_PER_IN


def test_figure_3_shows_every_row_reported_and_measured(full: Evidence) -> None:
    data = figure_3.data(full)
    assert set(data.row) == {"dpn4_32", "dpn4_64", *RIVALS}  # OpenPose and Mask R-CNN report no parameters
    (axes,) = drawn("figure-3", full).axes
    reported = set(zip(data.params_reported, data.ap, strict=True))
    measured = set(zip(data.params_measured.astype(int) / 10**6, data.ap, strict=True))
    assert sorted(marks(axes)) == sorted([*reported, *measured])
    assert data.set_index("row").loc["dpn4_64", ["params_reported", "params_measured", "ap"]].tolist() == [
        3.3, 3_336_529, 69.9,
    ]  # fmt: skip


def test_a_measured_number_far_from_the_reported_one_is_joined_to_it(full: Evidence) -> None:
    data = figure_3.data(full)
    data.loc[data.row == "sbl_r50", "params_measured"] = 44_000_000
    with style.figure_style():
        (axes,) = figure_3.draw(data).axes
    joins = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 2]
    assert len(joins) == 1
    assert joins[0][0].tolist() == [34.0, 70.4]
    assert 40 < joins[0][1][0] < 44  # as far as the ring, which is centred on 44


def test_figure_3_without_records_says_so_and_draws_no_ring(nothing: Evidence) -> None:
    (axes,) = drawn("figure-3", nothing).axes
    data = figure_3.data(nothing)
    assert len(marks(axes)) == len(data) == 8
    assert "measured: no records yet" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_stale_record_is_not_drawn(tmp_path: Path) -> None:
    older = replace(ZOO["dpn4_64"], conv2_blocks=3)
    Store(tmp_path).append(record(older, "params", 3_000_000))
    assert figure_3.data(Evidence(records_root=tmp_path)).params_measured.isna().all()


def test_efficiency_has_one_mark_for_each_result_and_one_guide_for_each_cost(full: Evidence) -> None:
    data = figure_efficiency.data(full)
    assert data.macs.notna().all()
    expected = [(x / 1e9, ap) for column in ("macs", "live_macs") for x, ap in zip(data[column], data.ap, strict=True)]
    axes = drawn("figure-efficiency", full).axes
    assert np.array(sorted(itertools.chain(*map(marks, axes)))) == pytest.approx(np.array(sorted(expected)))
    guides = [segment[0][0] for panel in axes for lines in panel.collections for segment in lines.get_segments()]
    assert sorted(guides) == pytest.approx(sorted(set(data[data.group != ""].macs / 1e9)))


def test_efficiency_knows_the_tables_schedules_and_both_aps_of_dpn1_64(full: Evidence) -> None:
    data = figure_efficiency.data(full).set_index("subject")
    assert data.loc["dpn4_64", "tables"] == "table-2 table-4 table-6"
    assert data.loc["dpn4_32_d8", ["schedule", "label", "ap"]].tolist() == ["constant", "D = 8", 48.7]
    assert data.loc["dpn4_32_reversed", "schedule"] == "reversed"
    assert data.loc["dpn1_32_normal", "schedule"] == "normal"
    assert data.loc["dpn2_64_highres", ["schedule", "group"]].tolist() == ["highres", "DPNn_64, 64×48"]
    assert sorted(zip(data.loc["dpn1_64", "ap"], data.loc["dpn1_64", "label"], strict=True)) == [
        (64.5, "Table II"), (65.2, "Table IV"),
    ]  # fmt: skip
    assert data.loc["dpn2_hrnet", ["group", "label"]].tolist() == ["", "DPN2_hrnet"]


def test_efficiency_and_layers_without_records_name_the_command(nothing: Evidence) -> None:
    for figure_id in ("figure-efficiency", "figure-layers"):
        figure = drawn(figure_id, nothing)
        words = " ".join(" ".join(text.get_text().split()) for axes in figure.axes for text in axes.texts)
        assert "no record of" in words
        assert "python -m bench measure" in words
        assert not any(axes.lines or axes.patches for axes in figure.axes)


def test_layers_add_up_to_the_record(full: Evidence) -> None:
    data = figure_layers.data(full)
    for name, rows in data.groupby("subject"):
        columns = full.record(name, "layers").detail["columns"]
        assert rows.macs.sum() == sum(columns["macs"])
        assert rows.live_macs.sum() == sum(columns["live_macs"])
        assert rows.operators.sum() == len(columns["module"])
        modules = [f"dpm {n}" for n in (1, 2, 3, 4)]
        assert list(dict.fromkeys(rows.stage)) == ["conv0", "conv1", "conv2", *modules, "fuse", "heatmap"]
        assert set(rows.dilation.dropna()) == {32, 16, 8, 4, 2, 1}


def test_layers_bars_are_the_sums_above_and_below(full: Evidence) -> None:
    data = figure_layers.data(full)
    panels = iter(drawn("figure-layers", full).axes)
    for _, rows in data.groupby("subject", sort=False):
        for axes, part in zip((next(panels), next(panels)), (rows, rows[rows.part != "all"]), strict=True):
            half = len(axes.patches) // 2
            nominal, live = axes.patches[:half], axes.patches[half:]
            assert sum(bar.get_width() for bar in nominal) * 1e9 == pytest.approx(part.macs.sum())
            assert sum(bar.get_width() for bar in live) * 1e9 == pytest.approx(part.live_macs.sum())
            assert all(bar.get_x() == 0 for bar in axes.patches)
    names = [label.get_text() for label in drawn("figure-layers", full).axes[1].get_yticklabels()]
    assert [name for name in names if "d =" in name] == [f"3×3, d = {d}" for d in (32, 16, 8, 4, 2, 1)]


def write(full: Path, speed: Path, folder: Path) -> None:
    """Writes every figure: those of speed from one folder of records, the others from another."""
    evidence, timed = Evidence(records_root=full), Evidence(records_root=speed)
    for drawing in FIGURES.values():
        data = drawing.data(timed if drawing.id in ("figure-latency", "figure-roofline") else evidence)
        figure_files.write_figure(drawing.draw, data, drawing.id, folder)


def test_the_same_data_give_the_same_bytes_in_another_process_with_other_settings(full, tmp_path: Path) -> None:
    speed, rc = made_up_speed.fill(tmp_path / "records").root, tmp_path / "matplotlibrc"
    rc.write_text("font.family: serif\nsvg.fonttype: none\naxes.grid: True\nlines.linewidth: 4\n")
    write(full.records_root, speed, tmp_path / "here")
    code = "import sys, pathlib; from tests.analysis.test_figures import write; write(*map(pathlib.Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(full.records_root), str(speed), str(tmp_path / "there")]
    settings = {"PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": str(10**9), "MATPLOTLIBRC": str(rc)}
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | settings)
    here, there = ({path.name: path.read_bytes() for path in (tmp_path / run).iterdir()} for run in ("here", "there"))
    suffixes = (".csv", ".dark.svg", ".pdf", ".png", ".svg")
    assert set(here) == set(there) == {f"{name}{suffix}" for name in FIGURES for suffix in suffixes}
    assert [name for name in here if here[name] != there[name]] == []


@pytest.fixture(scope="module")
def folder(full: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("figures")
    figure_files.write_figure(figure_3.draw, figure_3.data(full), "figure-3", where)
    return where


def test_the_files_need_no_font_and_carry_no_date(folder: Path, full: Evidence) -> None:
    light, dark = ((folder / f"figure-3{suffix}").read_text() for suffix in (".svg", ".dark.svg"))
    assert "<text" not in light
    assert len(light) < 60_000
    assert not re.search(r"dc:date|matplotlib v", light)
    assert style.LIGHT.ink in light
    assert style.DARK.ink in dark
    for svg in (light, dark):  # transparent: neither page colour is painted over the whole
        assert 'id="patch_1"><path' in svg
        assert "fill: none" in svg[svg.index('id="patch_1"') :][:200]
    table = pd.read_csv(folder / "figure-3.csv")
    assert table.params_measured.tolist() == figure_3.data(full).params_measured.tolist()


def test_compacting_moves_nothing_by_more_than_a_thousandth_of_a_point() -> None:
    svg = '<a d="M 1.23456789 2\nL 3.5 -4.000061"/>\n  <use transform="scale(0.015625)" x="7.98765"/>'
    assert figure_files._compact(svg) == '<a d="M 1.235 2 L 3.5 -4.000"/><use transform="scale(0.015625)" x="7.988"/>'


def test_the_picture_holds_both_files_and_escapes_its_words(folder: Path) -> None:
    page = figure_files.picture_html("figure-3", folder, alt='AP "over" <params>', caption="a < b & c")
    sources = [base64.b64decode(found) for found in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)]
    assert sources == [(folder / "figure-3.dark.svg").read_bytes(), (folder / "figure-3.svg").read_bytes()]
    assert 'media="(prefers-color-scheme: dark)" srcset="data:' in page
    assert 'alt="AP &quot;over&quot; &lt;params&gt;"' in page
    assert "<figcaption>a &lt; b &amp; c</figcaption>" in page
    assert 'width="335" height="264"' in page  # 3.487 by 2.75 inches, 96 pixels each
    with pytest.raises(FileNotFoundError, match="write_figure"):
        figure_files.picture_html("figure-4", folder, alt="", caption="")


def test_the_alt_texts_hold_the_numbers(full: Evidence, nothing: Evidence) -> None:
    words = {name: drawing.alt(drawing.data(full)) for name, drawing in FIGURES.items()}
    assert "DPN4_64 3.3 million, AP 69.9" in words["figure-3"]
    assert "32 DPN results" in words["figure-efficiency"]
    assert "dpn4_64: conv0" in words["figure-layers"]
    assert "not measured yet" in FIGURES["figure-layers"].alt(figure_layers.data(nothing))


# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "none": np.eye(3).tolist(),
}


def linear_rgb(colour: str) -> np.ndarray:
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(colour: str) -> float:
    return float(linear_rgb(colour) @ [0.2126, 0.7152, 0.0722])


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", [style.LIGHT, style.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("looks", [style.FAMILIES, style.SCHEDULES], ids=["families", "schedules"])
def test_marks_stand_out_from_the_page_and_from_each_other(looks, theme) -> None:
    with style.figure_style(theme is style.DARK):
        colours = [look.colour for look in looks.values()]
    page = luminance(theme.background)
    for colour in [*colours, theme.ink, theme.muted]:  # WCAG 2.1, 1.4.11: 3:1 for graphical objects
        high, low = sorted((page, luminance(colour)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3, colour
    for deficiency, matrix in DEFICIENCIES.items():
        for a, b in itertools.combinations(colours, 2):
            apart = np.linalg.norm(lab(np.array(matrix) @ linear_rgb(a)) - lab(np.array(matrix) @ linear_rgb(b)))
            assert apart > 10, f"{a} and {b} look alike with {deficiency}: {apart:.1f}"
    assert len({look.marker for look in looks.values()}) == len(looks)


def test_outside_of_the_style_nothing_has_changed() -> None:
    before = dict(matplotlib.rcParams)
    with style.figure_style(dark=True):
        assert style.theme() is style.DARK
    assert style.theme() is style.LIGHT
    assert dict(matplotlib.rcParams) == before


def test_the_command_writes_a_figure_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from analysis.verbs.figures import figure

    figure(("figure-orders", "figure-orders"), out=tmp_path / "one")
    names = {f"figure-orders{suffix}" for suffix in (".png", ".pdf", ".svg", ".dark.svg", ".csv")}
    assert {path.name for path in (tmp_path / "one").iterdir()} == names
    assert sorted(Path(line).name for line in capsys.readouterr().out.splitlines()) == sorted(names)
    with pytest.raises(ValueError, match="no figure figure-9; there are figure-1, "):
        figure(("figure-9",), out=tmp_path)
    with pytest.raises(ValueError, match="name figures, or all; there are figure-1, "):
        figure((), out=tmp_path)
    (tmp_path / "file").touch()
    for below in ("file", "file/folder"):
        with pytest.raises(ValueError, match="file is no folder; give --out a folder"):
            figure(("figure-orders",), out=tmp_path / below)
