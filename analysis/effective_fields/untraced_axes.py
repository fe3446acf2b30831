"""Whether maps are (B, C, H, W), as gradients take them: known where the tracer can follow them. No torch.

A block of a network may keep its maps channels last, or positions where others have channels, and four axes do not say
so. What the tracer has no word for it names, with all that lies behind it.
"""

from collections.abc import Mapping

from analysis.effective_fields.erf_metrics import Shape
from analysis.receptive_fields.field_graph import EXCHANGES
from analysis.receptive_fields.receptive_field import FieldGraph


def untraced(graph: FieldGraph | None, shapes: Mapping[str, Shape]) -> dict[str, str]:
    """The maps among some whose axes may be others than they were taken for, by name, and why.

    Args:
        graph: the network's wiring; None where there is none.
        shapes: channels, height and width by name, as they were taken.
    """
    reasons = {name: _reason(graph, name, shape) for name, shape in shapes.items() if name != "input"}
    return {name: reason for name, reason in reasons.items() if reason}


def _reason(graph: FieldGraph | None, name: str, shape: Shape) -> str:
    if graph is None or name not in graph.names:
        return "no such map comes out of a pass without data"
    index = graph.index(name)
    if problems := graph.problems(index):
        return problems[0]
    if graph.maps[index].shape != shape:
        return f"its channels, rows and columns are {', '.join(map(str, graph.maps[index].shape))}"
    exchanged = [graph.maps[i].op for i in sorted(graph.ancestors(index)) if graph.maps[i].op in EXCHANGES]
    return f"{exchanged[0]} comes before it, and it has as many channels as rows" if exchanged and (
        shape[0] == shape[1]
    ) else ""  # fmt: skip


def caution(reasons: Mapping[str, str]) -> str:
    """What to tell a user of maps whose axes may be others; nothing where there are none."""
    told = "; ".join(f"{name} ({reason})" for name, reason in reasons.items())
    return told and (
        f"taken for (B, C, H, W), though the tracer cannot confirm it: {told}; where axes lie otherwise, rows and "
        "columns here are something else: name other maps"
    )
