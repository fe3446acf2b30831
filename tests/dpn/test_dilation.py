"""Schedules and Eqs. 1-6, against the support of gradients through real stacks of convolutions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dpn import dilation


def stack(layers: list[tuple[int, int, int]]) -> nn.Sequential:
    """1-D convolutions of ones, given by kernel, dilation and stride, without padding."""
    net = nn.Sequential(*(nn.Conv1d(1, 1, k, stride=s, dilation=d, bias=False) for k, d, s in layers)).double()
    for layer in net:
        nn.init.ones_(layer.weight)
    return net


def gradient_of_one_output(layers: list[tuple[int, int, int]], extent: int, output: int = 0) -> Tensor:
    """How many paths lead from each input to one output."""
    image = torch.zeros(1, 1, extent, dtype=torch.float64, requires_grad=True)
    stack(layers)(image)[0, 0, output].backward()
    return image.grad[0, 0]


def span(gradient: Tensor) -> int:
    """Distance from the first to the last input that takes part."""
    reached = gradient.nonzero().flatten()
    return int(reached[-1] - reached[0]) + 1


SCHEDULES = {
    "pyramid": dilation.pyramid(),
    "reversed": dilation.reversed_pyramid(),
    "normal": dilation.normal(),
    "constant 2": dilation.constant(2),
    "constant 8": dilation.constant(8),
    "short": dilation.pyramid(3),
}


@pytest.mark.parametrize("modules", [1, 2])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_field_of_a_schedule_is_the_span_of_a_gradient(schedule: tuple[int, ...], modules: int) -> None:
    gradient = gradient_of_one_output([(3, d, 1) for d in schedule * modules], extent=500)
    assert dilation.rf_of_schedule(schedule, modules=modules) == span(gradient)


@given(layers=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_equations_2_to_4_on_any_stack(layers: list[tuple[int, int, int]]) -> None:
    rf, jump = 1, 1
    for kernel, d, stride in layers:
        rf = dilation.rf_after_strided(rf, dilation.rf_after_dilated(1, kernel, d), jump)
        jump = dilation.jump_after_strided(jump, stride)
    extent = rf + jump
    first, second = (gradient_of_one_output(layers, extent, output) for output in (0, 1))
    assert span(first) == rf
    assert int(second.nonzero()[0]) - int(first.nonzero()[0]) == jump


@given(rf=st.integers(1, 99), kernel=st.integers(1, 9), d=st.integers(1, 40))
def test_equations_1_to_3_agree_where_they_meet(rf: int, kernel: int, d: int) -> None:
    assert dilation.rf_after_dilated(rf, kernel, 1) == dilation.rf_after_convolution(rf, kernel)
    assert dilation.rf_after_strided(rf, kernel, 1) == dilation.rf_after_convolution(rf, kernel)
    effective = d * (kernel - 1) + 1  # a dilated kernel is a sparse kernel of this size
    assert dilation.rf_after_dilated(rf, kernel, d) == dilation.rf_after_convolution(rf, effective)


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("layers", [1, 2, 4, 6])
def test_equation_6_is_equation_2_layer_by_layer(kernel: int, layers: int) -> None:
    schedule = dilation.pyramid(layers)
    assert dilation.rf_pyramid(kernel, layers) == dilation.rf_of_schedule(schedule, kernel)
    gradient = gradient_of_one_output([(kernel, d, 1) for d in schedule], extent=400)
    assert dilation.rf_pyramid(kernel, layers) == span(gradient)


def test_one_module_reads_every_input_of_its_field_and_constant_8_does_not() -> None:
    pyramid = gradient_of_one_output([(3, d, 1) for d in dilation.pyramid()], extent=127)
    assert int((pyramid > 0).sum()) == 127 == dilation.rf_pyramid()
    assert int(pyramid.sum()) == 3**6
    assert [int(n) for n in pyramid[63:84]] == [1, 6, 5, 9, 4, 11, 7, 10, 3, 11, 8, 13, 5, 12, 7, 9, 2, 9, 7, 12, 5]
    gridded = gradient_of_one_output([(3, d, 1) for d in dilation.constant(8)], extent=97)
    assert int((gridded > 0).sum()) == 13


def test_order_changes_neither_field_nor_paths() -> None:
    there, back = (
        gradient_of_one_output([(3, d, 1) for d in schedule], extent=127)
        for schedule in (dilation.pyramid(), dilation.reversed_pyramid())
    )
    assert torch.equal(there, back)


def test_equation_5() -> None:
    assert dilation.pyramid() == (32, 16, 8, 4, 2, 1)
    assert all(dilation.layer_dilation(i) == 2 ** (dilation.PYRAMID_LAYERS - i) for i in range(1, 7))
    assert dilation.reversed_pyramid() == tuple(sorted(dilation.pyramid()))
    assert dilation.constant(4) == (4,) * 6
    assert dilation.normal() == dilation.constant(1)
    assert dilation.pyramid(3) == (4, 2, 1)


@pytest.mark.parametrize("i", [0, 7, -1])
def test_layers_are_counted_from_1(i: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.6"):
        dilation.layer_dilation(i)


def test_a_dilation_is_at_least_1() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        dilation.constant(0)
