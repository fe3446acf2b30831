"""What is said of maps that may not be (B, C, H, W)."""

from analysis.effective_fields.untraced_axes import caution, untraced
from analysis.receptive_fields.axes import SAME
from analysis.receptive_fields.field_graph import Edge, Map, Pointwise
from analysis.receptive_fields.receptive_field import FieldGraph


def graph(op: str, shape: tuple[int, int, int], problem: str = "") -> FieldGraph:
    edge = Edge(0, SAME, SAME, Pointwise(0, 0, shape[0]))
    return FieldGraph((Map("input", "", shape), Map(op, "a", shape, (edge,), (0,), problem)), {"input": 0, "a": 1})


def test_a_map_that_the_tracer_followed_needs_no_word() -> None:
    assert untraced(graph("relu", (4, 4, 6)), {"input": (4, 4, 6), "a": (4, 4, 6)}) == {}
    assert untraced(graph("permute", (4, 8, 6)), {"a": (4, 8, 6)}) == {}
    assert caution({}) == ""


def test_every_reason_to_doubt_is_told() -> None:
    assert untraced(graph("fft", (4, 8, 6), "fft in a: no rule"), {"a": (4, 8, 6)}) == {"a": "fft in a: no rule"}
    assert untraced(graph("permute", (4, 8, 6)), {"a": (8, 6, 4)}) == {
        "a": "its channels, rows and columns are 4, 8, 6"
    }
    assert untraced(graph("permute", (4, 4, 4)), {"a": (4, 4, 4)}) == {
        "a": "permute comes before it, and it has as many channels as rows"
    }
    assert (
        untraced(graph("relu", (4, 8, 6)), {"b": (4, 8, 6)})
        == untraced(None, {"b": (4, 8, 6)})
        == {"b": "no such map comes out of a pass without data"}
    )
    assert "cannot confirm it: a (fft); b (permute); where" in caution({"a": "fft", "b": "permute"})
