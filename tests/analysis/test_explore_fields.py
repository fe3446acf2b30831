"""The explorer's fields and numbers against the checked facts of stacks, and against the engine on traced networks."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analysis.explorer.explore_choices import (
    LARGEST_MAP,
    MOST_MAPS,
    ChoiceError,
    Choices,
    Direction,
    NetworkChoices,
    StackChoices,
    parse_dilations,
    parse_map,
)
from analysis.explorer.explore_fields import USUAL_MAPS, network_panels, numbers, stack_panels, usual_maps, weighted
from analysis.receptive_fields.field_trace import trace
from analysis.receptive_fields.receptive_field import FieldGraph
from analysis.receptive_fields.stacks import stack

DPM = (32, 16, 8, 4, 2, 1)
REVERSED = DPM[::-1]
WIDE = {"map_hw": (256, 256), "unit": (128, 128)}
"""No path of one module meets the end of this map."""


@pytest.mark.parametrize(("order", "overlap", "coverage"), [
    ("as typed", (0.992, 0.984, 0.968, 0.933, 0.857, 0.667), (1, 1, 1, 1, 1, 1)),
    ("reversed", (0.992, 0, 0, 0, 0, 0), (1, 0.504, 0.256, 0.133, 0.072, 0.046)),
])  # fmt: skip
@pytest.mark.parametrize("step", [(0, 1), (1, 0), (-1, 0)])
def test_coverage_and_overlap_of_the_checked_stacks(order: str, overlap, coverage, step: tuple[int, int]) -> None:
    panels = stack_panels(StackChoices(dilations=DPM, order=order, step=step, **WIDE))
    found = [numbers(panel) for panel in panels]
    assert [round(row.overlap, 3) for row in found[:-1]] == list(overlap)
    assert [round(row.coverage**0.5, 3) for row in found[:-1]] == list(coverage)
    assert (found[-1].overlap, found[-1].positions, found[-1].effective) == (None, 1, 1)


def test_forward_is_the_mirror_image() -> None:
    backward = stack_panels(StackChoices(dilations=DPM, **WIDE))
    forward = stack_panels(StackChoices(dilations=REVERSED, direction="forward", **WIDE))
    for one, other in zip(backward, reversed(forward), strict=True):
        assert np.array_equal(one.support, other.support)
        assert np.array_equal(one.share, other.share)
        assert one.own == other.own


def test_outputs_as_far_apart_as_a_layer_s_steps_share_again() -> None:
    """On maps 1 to 4 of the reversed module what is read is 2, 4, 8 and 16 apart; on map 5 it is 32."""
    panels = stack_panels(StackChoices(dilations=DPM, order="reversed", unit=(32, 24), step=(0, 16)))
    assert [numbers(panel).overlap > 0 for panel in panels[:-1]] == [True] * 5 + [False]


@pytest.mark.parametrize(("order", "share"), [("as typed", 0.801), ("reversed", 0.717)])
def test_effective_inputs_on_the_default_map(order: str, share: float) -> None:
    units = [(row, column) for row in range(32) for column in range(24)]
    found = [
        numbers(stack_panels(StackChoices(dilations=DPM, order=order, map_hw=(32, 24), unit=unit))[0]).effective
        for unit in units
    ]
    assert round(np.mean(found) / len(units), 3) == share


@pytest.mark.parametrize(("map_hw", "detail"), [((32, 24), "1x1 on this map"), ((64, 24), "3 of 9 taps live"),
                                                ((64, 48), "")])  # fmt: skip
def test_a_layer_whose_taps_meet_padding_says_so(map_hw: tuple[int, int], detail: str) -> None:
    panels = stack_panels(StackChoices(dilations=DPM, map_hw=map_hw, unit=(0, 0)))
    assert panels[1].detail == detail
    assert {panel.detail for panel in (panels[0], *panels[2:])} == {""}
    assert np.array_equal(panels[0].support, panels[1].support) == (map_hw == (32, 24))


@pytest.mark.parametrize(("variance", "centre"), [(0.0, 0.0014), (1.0, 0.088), (0.5, 0.221), (0.1, 0.687)])
def test_shortcuts_pull_the_field_to_its_centre(variance: float, centre: float) -> None:
    share = stack_panels(StackChoices(dilations=DPM, shortcuts=variance, **WIDE))[0].share
    along = share[0].sum(axis=0) / share[0].sum()
    assert round(along[128], 3 if variance else 4) == centre


def test_the_kernel_of_a_block_along_one_axis() -> None:
    variance, graph = 0.7, stack((3,), (9, 9))
    (values,) = weighted(graph, [(4, 4)], variance, "backward")[0]
    expected = np.array([variance / 3, 1 + variance / 3, variance / 3]) / (1 + variance)
    assert values.sum(axis=0)[[1, 4, 7]] == pytest.approx(expected)
    assert values.sum() == pytest.approx(1)


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_shortcuts_reach_what_the_engine_says(direction: Direction) -> None:
    dilations, units = (5, 1, 3), [(0, 3), (7, 2)]
    graph = stack(dilations, (12, 9), shortcuts=True)
    exact = graph.backward("output", units) if direction == "backward" else graph.forward("input", units)
    spread = weighted(stack(dilations, (12, 9)), units, 0.5, direction)
    assert len(spread) == len(exact) == 4
    for index, values in enumerate(spread):
        assert np.array_equal(values > 0, exact[index].values)
    choices = StackChoices(dilations=dilations, map_hw=(12, 9), unit=(0, 3), shortcuts=0.5, direction=direction)
    for index, panel in enumerate(stack_panels(choices)):
        assert np.array_equal(panel.support[0], exact[index].values[0])


@pytest.mark.parametrize(("text", "found"), [("32,16", (32, 16)), (" 4 2, 1 ", (4, 2, 1)), ("7", (7,))])
def test_dilations_as_they_are_typed(text: str, found: tuple[int, ...]) -> None:
    assert parse_dilations(text) == found


@pytest.mark.parametrize("text", ["", " , ", "4,x", "4;2", "-4", "1.5", "٣", "1" * 20])
def test_what_is_no_list_of_dilations_is_refused(text: str) -> None:
    with pytest.raises(ChoiceError, match="whole numbers with commas between") as error:
        parse_dilations(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "message"), [
    ("64", "HEIGHTxWIDTH"), ("axb", "HEIGHTxWIDTH"), (f"{LARGEST_MAP + 1}x2", f"from 1 to {LARGEST_MAP}"),
])  # fmt: skip
def test_what_is_no_map_is_refused(text: str, message: str) -> None:
    assert parse_map(" 64x48 ") == (64, 48)
    with pytest.raises(ChoiceError, match=message):
        parse_map(text)


@pytest.mark.parametrize(("change", "message"), [
    ({"dilations": ()}, "at least one"),
    ({"dilations": (4, 0)}, "from 1 to 256"),
    ({"dilations": (257,)}, "from 1 to 256"),
    ({"order": "random"}, "order is one of as typed, reversed, falling, rising, not 'random'"),
    ({"direction": "fwd"}, "direction is one of backward, forward, not 'fwd'"),
    ({"show": "path"}, "show is one of support, paths, shared, not 'path'"),
    ({"dilations": (8.0, 4)}, r"dilations is whole numbers, such as \(32, 16, 8\), not \(8\.0, 4\)"),
    ({"dilations": "8,4"}, "dilations is whole numbers, .*, not '8,4'"),
    ({"dilations": 8}, "dilations is whole numbers, .*, not 8"),
    ({"dilations": (True,)}, r"dilations is whole numbers, .*, not \(True,\)"),
    ({"map_hw": "64x48"}, r"map_hw is a whole height and width, such as \(64, 48\), not '64x48'"),
    ({"modules": 2.0}, "modules is a whole number, not 2.0"),
    ({"shortcuts": "0.5"}, "shortcuts is a variance ratio, or 0 for no shortcuts, not '0.5'"),
    ({"unit": (3,)}, r"unit is a whole row and column, such as \(32, 24\), not \(3,\)"),
    ({"unit": (3.5, 3)}, "unit is a whole row and column"),
    ({"step": 1}, r"step is whole rows and columns, such as \(0, 1\), not 1"),
    ({"modules": 0}, "0 modules"),
    ({"modules": 11}, "11 modules of 6 layers; up to 64 are drawn"),
    ({"map_hw": (0, 4)}, "from 1 to 256"),
    ({"shortcuts": -0.1}, "above 0, or 0 for no shortcuts"),
    ({"shortcuts": float("nan")}, "above 0, or 0 for no shortcuts"),
    ({"unit": (64, 0)}, "not on the map of 64x48"),
    ({"unit": (0, -1)}, "not on the map of 64x48"),
    ({"step": (0, 0)}, "the unit itself"),
    ({"step": (0, 40)}, "choose another step"),
])  # fmt: skip
def test_choices_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    sound = {"dilations": DPM, "unit": (32, 24)}
    StackChoices(**sound)
    with pytest.raises(ChoiceError, match=message) as error:
        StackChoices(**{**sound, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("change", "message"), [
    ({"direction": "fwd"}, "direction is one of backward, forward, not 'fwd'"),
    ({"unit": 3}, "unit is a whole row and column"),
    ({"at": 0}, "at is the name of a map, not 0"),
    ({"shown": "input"}, r"shown is names of maps, such as \('input', 'output'\), not 'input'"),
    ({"shown": (0, 1)}, r"shown is names of maps, .*, not \(0, 1\)"),
])  # fmt: skip
def test_choices_of_a_network_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    sound = {"network": "n", "at": "output", "shown": ("input",), "unit": (0, 0)}
    NetworkChoices(**sound)
    with pytest.raises(ChoiceError, match=message):
        NetworkChoices(**{**sound, **change})


def test_a_list_is_frozen_and_numbers_of_arrays_are_numbers() -> None:
    rows = np.array([3, 5])
    choices = StackChoices(dilations=[4, 2], unit=[rows[0], 5], map_hw=[64, 48])
    assert choices == StackChoices(dilations=(4, 2), unit=(3, 5))
    assert len({choices}) == 1


def test_orders() -> None:
    typed = (4, 1, 2)
    found = {
        order: StackChoices(dilations=typed, order=order, modules=2, unit=(0, 0)).layers
        for order in ("as typed", "reversed", "falling", "rising")
    }
    assert found == {"as typed": (4, 1, 2) * 2, "reversed": (2, 1, 4) * 2, "falling": (4, 2, 1) * 2,
                     "rising": (1, 2, 4) * 2}  # fmt: skip


def test_a_neighbour_beyond_the_end_is_the_one_on_the_other_side() -> None:
    assert Choices(unit=(3, 7), step=(1, 1)).units((8, 8)) == ((3, 7), (4, 6))
    assert Choices(unit=(0, 0), step=(-2, 0)).units((8, 8)) == ((0, 0), (2, 0))
    assert Choices(unit=(0, 0)).units((1, 1)) == ((0, 0),)


class Fork(nn.Module):
    """Two layers of a stack beside a branch that nothing needs, and an operator that no rule describes."""

    def __init__(self, dead_end: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=4, dilation=4)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.aside = nn.Conv2d(4, 4, 1)
        self.sorted = nn.Identity()
        self.last = nn.Conv2d(4, 1, 1)
        self.dead_end = dead_end

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x))
        self.aside(nn.functional.max_pool2d(x, 2))
        x = self.second(x).relu()
        return self.last(self.sorted(torch.sort(x, dim=-1).values if self.dead_end else x))


def traced(net: nn.Module) -> FieldGraph:
    return trace(net, (1, 3, 24, 18))


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_a_network_is_told_as_the_stack_that_it_is(direction: Direction) -> None:
    at = "last" if direction == "backward" else "input"
    names = ("input", "first", "norm", "second", "last")
    choices = NetworkChoices(network="fork", at=at, shown=names, unit=(11, 3), direction=direction)
    found = dict(zip(names, network_panels(traced(Fork()), choices), strict=True))
    stacked = stack_panels(StackChoices(dilations=(4, 2), map_hw=(24, 18), unit=(11, 3), direction=direction))
    for name, index in (("input", 0), ("first", 1), ("norm", 1), ("second", 2), ("last", 2)):
        assert np.array_equal(found[name].support, stacked[index].support)
        assert np.array_equal(found[name].share, stacked[index].share)
        assert found[name].mark == (11, 3)
    assert [name for name, panel in found.items() if panel.own] == [at]
    assert (found["first"].detail, found["last"].detail) == ("24x18, d = 4", "24x18")


def test_what_cannot_be_told_is_named() -> None:
    choices = NetworkChoices(network="fork", at="last", shown=("input", "second", "sorted", "aside"), unit=(11, 3))
    panels = network_panels(traced(Fork(dead_end=True)), choices)
    assert [panel.support is None for panel in panels] == [True, True, False, True]
    assert "sort" in panels[0].problem
    assert panels[0].problem == panels[1].problem
    assert panels[3].problem == "last does not depend on aside"
    assert numbers(panels[0]) == numbers(panels[0]).__class__(
        map="input", detail="24x18", size="24x18", positions=None, coverage=None, overlap=None, effective=None
    )


def test_more_paths_than_floats_can_count() -> None:
    """9 to the power of 340 is beyond the largest float; the support is told all the same."""
    layer = nn.Conv2d(1, 1, 3, padding=1)
    net = nn.Sequential(nn.Conv2d(3, 1, 1), *[layer] * 340)
    choices = NetworkChoices(network="deep", at="output", shown=("input", "output"), unit=(11, 3))
    deep, own = network_panels(traced(net), choices)
    assert deep.support.all()
    assert deep.share is None
    assert "more paths" in deep.problem
    assert numbers(deep).effective is None
    assert (own.problem, numbers(own).effective) == ("", 1)


def test_usual_maps_leave_out_what_looks_like_its_source() -> None:
    graph = traced(Fork())
    assert usual_maps(graph, "output", "backward") == ("input", "first", "output")
    assert usual_maps(graph, "input", "forward") == ("input", "first", "aside", "second")
    many = trace(nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(30)]), (1, 3, 8, 8))
    usual = usual_maps(many, "output", "backward")
    assert len(usual) == USUAL_MAPS
    assert (usual[0], usual[-1]) == ("input", "output")


@pytest.mark.parametrize("picked", [0, MOST_MAPS + 1])
def test_as_many_maps_as_a_picture_holds(picked: int) -> None:
    with pytest.raises(ChoiceError, match=f"{picked} maps are picked; pick 1 to {MOST_MAPS}"):
        NetworkChoices(network="n", at="output", shown=("input",) * picked, unit=(0, 0))


def test_an_unknown_map_is_answered_with_the_nearest() -> None:
    choices = NetworkChoices(network="fork", at="lasst", shown=("input",), unit=(0, 0))
    with pytest.raises(KeyError, match="no map named 'lasst'; the nearest are last"):
        network_panels(traced(Fork()), choices)
