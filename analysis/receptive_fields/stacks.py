"""Stacks of dilated convolutions, which is all that a Dilation Pyramid Module is to a receptive field. No torch."""

from collections.abc import Sequence

from analysis.receptive_fields.axes import SAME, Window
from analysis.receptive_fields.field_graph import Edge, Map, Pointwise
from analysis.receptive_fields.receptive_field import FieldGraph


def stack(
    dilations: Sequence[int], map_hw: tuple[int, int] = (64, 48), *,
    kernel: int = 3, modules: int = 1, shortcuts: bool = False,
) -> FieldGraph:  # fmt: skip
    """The graph of dilated convolutions that keep their map's size; map 0 is the input, map i what layer i returns.

    Args:
        dilations: of one module, input to output.
        map_hw: height and width of the maps.
        kernel: size of the convolutions, odd.
        modules: how often the module stands in a row.
        shortcuts: each layer adds its input to its output, as in a residual block.

    Example:
        >>> stack((32, 16, 8, 4, 2, 1)).extent("output").size_hw
        (127, 127)

    Raises:
        ValueError: a dilation or a size below 1, or an even kernel.
    """
    if not dilations or min(dilations) < 1 or min(map_hw) < 1 or modules < 1:
        raise ValueError(f"dilations {tuple(dilations)}, map {map_hw}, modules {modules}: all must be at least 1")
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"a kernel of {kernel} has no centre; give an odd size")
    shape = (1, *map_hw)
    maps = [Map("input", "", shape)]
    for number, dilation in enumerate(tuple(dilations) * modules):
        window = Window(kernel, 1, kernel // 2 * dilation, dilation)
        edges = [Edge(number, window, window, Pointwise(0, 0, 1))]
        if shortcuts:
            edges.append(Edge(number, SAME, SAME, Pointwise(0, 0, 1)))
        maps.append(Map("convolution", f"layer {number + 1}", shape, tuple(edges), (number,)))
    names = {"input": 0, **{one.module: i for i, one in enumerate(maps) if one.module}, "output": len(maps) - 1}
    return FieldGraph(tuple(maps), names)
