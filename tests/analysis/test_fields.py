"""The chapter on fields: tables by hand-worked numbers, records against a fresh trace, Figure 1 by its artists."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import matplotlib.collections
import pytest
import torch
from torch import nn

from analysis.catalogue import tables
from analysis.effective_fields.probing import probe
from analysis.evidence import Evidence
from analysis.field_tables import fields
from analysis.plots import figure_1, style
from analysis.receptive_fields.field_records import depths, field_record, measure_fields, profile, rows_read
from analysis.receptive_fields.field_trace import trace
from bench.records.store import Store
from bench.subject import resolve
from dpn import dilation

EMPTY = Evidence(records_root=Path("/nonexistent"))
TRACED = ("dpn4_64", "dpn1_32_reversed", "cpn_r50", "sbl_r50", "hrnet_w32")


def test_the_gridding_table_has_the_known_numbers(committed: Evidence) -> None:
    table = tables.table("table-gridding", committed)
    shown = {row.cells["schedule"].text: {name: cell.text for name, cell in row.cells.items()} for row in table.rows}
    dpm, reverse, two = (shown[dilation.described(name)] for name in ("DPM", "reversed", "D = 2"))
    names = ("rf", "read", "coverage", "overlap", "phases", "gap", "hdc", "effective", "live")
    assert [dpm[name] for name in names] == ["127", "100", "100", "88.2", "1", "0", "fails", "80.1", "63.4"]
    assert [reverse[name] for name in names] == ["127", "100", "33.5", "0", "1,024", "31", "passes", "71.7", "63.4"]
    assert [two[name] for name in names[:2]] == ["25", "27"]
    assert two["hdc"] == "passes"


def test_the_answer_says_what_the_tables_say(committed: Evidence) -> None:
    text = fields.answer(committed)
    for part in (
        "every position of its 127x127 field", "1 path from the centre", "13 from where most come", "the same field",
        "1,024 groups", "share 0 %", "88.2 % on average and nowhere less than 66.7 %", "a 1x1 convolution in effect",
        "63.4 %",
    ):  # fmt: skip
        assert part in text


def test_the_papers_field_claims_are_the_audits(committed: Evidence) -> None:
    table, audit = tables.table("table-field-claims", committed), tables.table("table-claims", committed)
    assert [row.id for row in table.rows] == list(fields.CLAIMS)
    for row in table.rows:
        assert row.cells["verdict"].text == audit.cell(row.id, "verdict").text
    assert table.cell("field-is-complete", "verdict").text == "holds"
    assert table.cell("reversed-same-field", "verdict").text == "holds"


def test_a_row_of_which_one_reading_holds_is_open_and_shows_both(committed: Evidence) -> None:
    table = tables.table("table-field-claims", committed)
    assert table.cell("reversed-grids", "verdict").text == "open"
    assert "it fails: 127 of 127 pixels" in table.cell("reversed-grids", "paper").text
    assert "by the wiring it holds" in table.cell("reversed-grids", "measured").text


@pytest.mark.parametrize("name", TRACED)
def test_a_fresh_trace_equals_the_record(name: str, committed: Evidence) -> None:
    fresh, stored = field_record(resolve(name)), committed.record(name, "receptive_field")
    assert stored is not None
    assert (fresh.value, fresh.complete, fresh.detail) == (stored.value, stored.complete, stored.detail)


@pytest.mark.slow
def test_every_record_of_fields_equals_a_fresh_trace(capsys: pytest.CaptureFixture[str], committed: Evidence) -> None:
    subjects = [resolve(name) for name in EMPTY.networks]
    assert measure_fields(subjects, committed.records_root, write=False) == 0
    assert f"{len(subjects)} stored records verified, 0 missing, 0 differ" in capsys.readouterr().out


def test_records_are_added_once_and_checked_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subjects = [resolve("dpn1_32")]
    assert measure_fields(subjects, tmp_path, write=False) == 1
    assert measure_fields(subjects, tmp_path) == 0
    assert measure_fields(subjects, tmp_path) == 0
    (record,) = Store(tmp_path).records
    Store(tmp_path).append(record.model_copy(update={"value": record.value + 2}))
    assert measure_fields(subjects, tmp_path) == 1
    assert "differs: receptive_field of dpn1_32" in capsys.readouterr().out


def test_a_dpn_sees_what_the_equations_say(committed: Evidence) -> None:
    """Stem, conv1 and conv2 by Eqs. 3 and 4, four modules by Eq. 2, the head's interpolation by its two taps."""
    record = committed.record("dpn4_64", "receptive_field")
    assert record is not None
    rf, jump = 1, 1
    for kernel, stride in ((7, 2), (3, 2), *((3, 1),) * 3, (3, 2), *((3, 1),) * 3):
        rf = dilation.rf_after_strided(rf, kernel, jump)
        jump = dilation.jump_after_strided(jump, stride)
    modules = dilation.rf_of_schedule(dilation.pyramid(), modules=4)
    assert record.value == rf + (modules - 1 + 1) * jump
    assert jump == 8


class Forked(nn.Module):
    """Two ways of different length, and a unit that some way cannot tell."""

    def __init__(self, blocked: bool) -> None:
        super().__init__()
        self.stem, self.long, self.short = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 5, padding=2), nn.Conv2d(4, 4, 1)
        self.deep, self.blocked = nn.Conv2d(4, 4, 3, padding=3, dilation=3), blocked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.deep(self.long(torch.sort(x, 2).values if self.blocked else x))
        return y + self.short(x)


def test_a_profile_by_hand() -> None:
    graph = trace(Forked(blocked=False), (1, 3, 32, 32))
    made = profile(graph)
    columns = made["columns"]
    assert dict(zip(columns["module"], zip(columns["depth"], columns["height"], columns["rows_read"],
                                           columns["kernel"], columns["dilation"], strict=True), strict=True)) == {
        "stem": (1, 16, 3, 3, 1), "long": (2, 16, 11, 5, 1), "deep": (3, 16, 23, 3, 3), "short": (2, 16, 3, 1, 1),
    }  # fmt: skip
    number = {module: i for i, module in enumerate(columns["module"])}
    assert {tuple(link) for link in made["links"]} == {
        (number[a], number[b]) for a, b in (("stem", "long"), ("long", "deep"), ("stem", "short"))
    }
    assert rows_read(graph, graph.index("output")) == (23, "")


def test_what_cannot_be_told_has_no_number() -> None:
    graph = trace(Forked(blocked=True), (1, 3, 32, 32))
    columns = profile(graph)["columns"]
    told = dict(zip(columns["module"], columns["rows_read"], strict=True))
    assert told == {"stem": 3, "long": None, "deep": None, "short": 3}
    size, reason = rows_read(graph, graph.index("output"))
    assert size is None
    assert reason.startswith("sort in the network")


class Branched(nn.Module):
    """Deep heatmaps first, and after them what a shallow branch makes."""

    class Answer(NamedTuple):
        heatmaps: torch.Tensor
        parsing: torch.Tensor

    def __init__(self, staged: bool = False) -> None:
        super().__init__()
        self.staged = staged
        self.pose = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 17, 5, padding=2))
        self.parsing = nn.Conv2d(3, 20, 7, padding=3)

    def forward(self, x: torch.Tensor) -> Answer | list[torch.Tensor]:
        heatmaps, parsing = self.pose(x), self.parsing(x)
        return [parsing, heatmaps] if self.staged else self.Answer(heatmaps, parsing)


@pytest.mark.parametrize("staged", [False, True])
def test_a_network_of_several_outputs_is_looked_at_through_its_heatmaps(staged: bool) -> None:
    """By name, and of stages the last; rows, depth and the gradients' target are of that one map."""
    graph = trace(Branched(staged), (1, 3, 32, 32))
    output = graph.index("output")
    assert graph.maps[output].shape == (17, 16, 16)
    assert (rows_read(graph, output)[0], depths(graph)[output]) == (11, 2)
    assert probe(Branched(staged), (32, 32), [(8, 8)]).at_least_hw == ((11, 11),)


def test_what_is_not_known_of_a_network_is_not_told_of_another_branch() -> None:
    """PIL's heatmaps lie behind kernels that are computed from the image; its parsing branch is not looked at."""
    record = field_record(resolve("pil"))
    assert (record.value, record.complete, record.detail["depth"]) == (0, False, 252)
    assert record.detail["reason"] == (
        "convolution in pose: its kernel is computed from the image; maps before it read up to 1,937 rows"
    )


def test_what_networks_see_stands_with_its_record(committed: Evidence) -> None:
    table = tables.table("table-sees", committed)
    assert table.cell("table-6/dpn4_64", "rows").value == committed.record("dpn4_64", "receptive_field").value  # type: ignore[union-attr]
    assert table.cell("table-6/cpn_r50", "about").text == "of the central unit"
    assert table.cell("table-6/mask_rcnn_r50", "rows").state == "missing"
    assert "no rule" in table.cell("table-6/mask_rcnn_r50", "about").text
    assert table.cell("table-7/pil", "rows").state == "missing"
    assert "its kernel is computed from the image" in table.cell("table-7/pil", "about").text


def test_figure_1_draws_each_map_where_it_is(committed: Evidence) -> None:
    data = figure_1.data(committed)
    assert list(dict.fromkeys(data.panel)) == list(figure_1.PANELS)
    hourglass = data[data.panel == "b"]
    assert {Fraction(value) for value in hourglass.resolution} == {Fraction(1, 2**n) for n in range(1, 7)}
    module = data[(data.panel == "f") & (data.kernel == 3)]
    assert list(module.dilation) == list(dilation.pyramid())
    with style.figure_style():
        figure = figure_1.draw(data)
    for axes, (_, rows) in zip(figure.axes, data.groupby("panel", sort=False), strict=False):
        points = [
            tuple(point) for dots in axes.collections if isinstance(dots, matplotlib.collections.PathCollection)
            for point in dots.get_offsets()
        ]  # fmt: skip
        assert {(float(d), float(r)) for d, r in points} == {
            (float(d), float(r)) for d, r in zip(rows.depth, rows.resolution, strict=True)
        }
        assert len(points) == len(set(points))


def test_figure_1_without_records_names_the_command() -> None:
    data = figure_1.data(EMPTY)
    with style.figure_style():
        figure = figure_1.draw(data)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "no record; run: python -m analysis trace sbl_r50" in words
    assert "not traced yet" in figure_1.alt(data)
