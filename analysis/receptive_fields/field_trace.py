"""From a network to the graph of its maps: runs it once without data and notes which operator read which map.

The tracer sits at torch's dispatch level, below functions and modules, like the counter: whatever the network's Python
does, branches, loops or calls that torch.fx cannot follow, the operators that ran are what is traced. An operator that
no rule here knows, or that acts on maps in a way that a receptive field has no word for, is named, and what lies behind
it cannot be told; nothing is guessed.
"""

from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.weak import WeakIdKeyDictionary

from analysis.receptive_fields.axes import SAME
from analysis.receptive_fields.field_graph import Edge, Map, Pointwise
from analysis.receptive_fields.field_memory import Memory, OverwrittenError
from analysis.receptive_fields.field_output import by_preference
from analysis.receptive_fields.field_rules import (
    RULES,
    SHAPE_ONLY,
    VALUES,
    Rule,
    Shape,
    UntraceableError,
    pointwise,
    shape_of,
    tensors_in,
    unknown,
)
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.counts.macs import run_watched
from bench.counts.watching import Watcher, Where
from bench.recording.counting import run_subject
from bench.subject import Subject
from dpn.program.error_words import in_words


def trace(net: nn.Module, *inputs: Tensor | Sequence[int], device: str = "meta") -> FieldGraph:
    """Runs a network once in evaluation mode and returns the graph of its maps; the network is left as it was.

    The map named "output" is the one that `by_preference` puts first; there is none where nothing that is returned
    comes from the image.

    Args:
        net: any module that takes images (B, C, H, W) as its first argument.
        inputs: the positional inputs of `forward`, as tensors or as shapes; fields refer to the first.
        device: "meta", where nothing is computed, or "cpu" for a network whose forward needs the values of tensors.

    Example:
        >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(3, 2, 1)), (1, 3, 64, 64))
        >>> graph.extent("output").size_hw, graph.extent("output").jump_hw
        ((7, 7), (Fraction(4, 1), Fraction(4, 1)))

    Raises:
        CountError: the forward pass failed, or the network has lazy parameters that no input has shaped yet.
        ValueError: the first input is not a batch of maps.
    """
    tracer, out = run_watched(net, inputs, device, _Tracer)
    final = next((index for one in by_preference(out) if (index := tracer.index(one)) is not None), None)
    names = {"input": 0, **tracer.names} | ({"output": final} if final is not None else {})
    return FieldGraph(tuple(tracer.maps), names, tuple(tracer.valued))


def trace_subject(subject: Subject) -> tuple[nn.Module, FieldGraph]:
    """A network by name and its graph: without data, or with some where its forward pass needs the values of tensors.

    Raises:
        CountError: the forward pass failed both ways.
    """
    net, graph, _ = run_subject(subject, trace)
    return net, graph


class _Tracer(Watcher):  # type: ignore[no-untyped-call]  # torch leaves its __init_subclass__ bare
    def __init__(self, where: Where, inputs: Sequence[Tensor]) -> None:
        super().__init__(where, inputs)
        if not inputs or inputs[0].dim() != 4:
            raise ValueError("the first input must be a batch of images, (B, C, H, W)")
        where.returned = self.returned
        self.maps: list[Map] = []
        self.names: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.valued: dict[str, None] = {}
        self.memory = Memory()
        self.of: MutableMapping[Tensor, int] = WeakIdKeyDictionary()  # maps that live; others cannot be read again
        # The memory that a tensor had, for `.data = ...` gives it another, and the writes that its map includes.
        self.since: MutableMapping[Tensor, tuple[StorageWeakRef | None, int]] = WeakIdKeyDictionary()
        self._add(inputs[0], Map("input", "", shape_of(inputs[0])), written=True)

    def returned(self, path: str, output: Any) -> None:
        """Told what a module returns; "a.b #2" is what it returns when it is called again."""
        index = self.last_of(output)
        if index is not None and path:
            self.calls[path] += 1
            self.names[path if self.calls[path] == 1 else f"{path} #{self.calls[path]}"] = index

    def last_of(self, output: Any) -> int | None:
        """The map that a module returns; of several the last, and the last (B, C, H, W) before all else."""
        listed = sorted(tensors_in([output]), key=lambda tensor: tensor.dim() == 4)
        found = [index for tensor in listed if (index := self.index(tensor)) is not None]
        return found[-1] if found else None

    def index(self, tensor: Tensor) -> int | None:
        """The map that a tensor holds now, whatever was written into its memory; None where no image is in it."""
        own, storage = self.of.get(tensor), self.memory.storage(tensor)
        before, since = self.since.get(tensor, (storage, 0))
        if before != storage:
            own, since = None, 0
        later = self.memory.written(tensor, since)
        if not later:
            return own
        shape, problem = shape_of(tensor), ""
        try:
            edges = self.memory.edges(tensor, own, since)
        except OverwrittenError as error:
            edges, problem = [], f"{self.maps[later[-1]].op} in {self._place}: {error}"
        if not edges and not problem:
            return None
        index = _all_of(edges, shape) if not problem else None
        if index is not None and self.maps[index].shape == shape:
            return self._hold(tensor, index)
        sources = [*([] if own is None else [own]), *later] if problem else [edge.source for edge in edges]
        return self._add(tensor, Map("memory", self.where.path, shape, tuple(edges), tuple(sources), problem))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::").removeprefix("prim::")
        rule = RULES.get(name) or RULES.get(name.removesuffix("_"))
        if torch.Tag.inplace_view in func.tags and name != "detach_":
            rule = unknown  # rules compare what goes in with what comes out, which is one tensor here
        elementwise = torch.Tag.pointwise in func.tags
        if rule is None and not elementwise and not func.is_view:
            with self:  # a composite operator: what it is made of comes by here again
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        given = tensors_in([*args, *kwargs.values()])
        sources = [index for index in map(self.index, given) if index is not None]
        if sources and name in VALUES:
            self.valued[self._place] = None
        out = func(*args, **kwargs)
        for tensor in tensors_in([out]):
            self.memory.written(tensor)  # the first tensor of a memory is the whole that its views are parts of
        if sources and name not in SHAPE_ONLY:
            self._note(name, rule or (pointwise if elementwise else unknown), func, args, kwargs, out, sources)
        return out

    def _note(
        self, name: str, rule: Rule, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any,
        sources: Sequence[int],
    ) -> None:  # fmt: skip
        known = func._schema.arguments
        given = dict(zip((a.name for a in known), args, strict=False)) | dict(kwargs)
        changed = tensors_in(given.get(a.name) for a in known if a.alias_info is not None and a.alias_info.is_write)
        arguments = {a.name: a.default_value for a in known if a.has_default_value()}
        arguments |= {a.name: given[a.name] for a in known if a.name in given and not a.is_out}
        outs = tensors_in([out])
        outs += [tensor for tensor in changed if not any(tensor is other for other in outs)]
        made: list[tuple[Tensor, tuple[Edge, ...]]] = [(tensor, ()) for tensor in outs]
        problem = ""
        try:
            made = [(tensor, tuple(edges)) for tensor, edges in zip(outs, rule(arguments, outs, self.of), strict=True)]
        except UntraceableError as error:
            problem = f"{name} in {self._place}: {error}"
        except Exception as error:  # a mistake of a rule, which must not cost the rest of the network
            problem = f"{name} in {self._place}: its rule fails here, {in_words(error)}"
        for tensor, edges in made:
            one = Map(name, self.where.path, shape_of(tensor), edges, tuple(dict.fromkeys(sources)), problem)
            fresh = not self.memory.written(tensor)
            self._add(tensor, one, written=fresh or any(tensor is other for other in changed))

    def _add(self, tensor: Tensor, made: Map, *, written: bool = False) -> int:
        self.maps.append(made)
        index = len(self.maps) - 1
        if written:
            self.memory.write(tensor, index)
        return self._hold(tensor, index)

    def _hold(self, tensor: Tensor, index: int) -> int:
        self.of[tensor] = index
        self.since[tensor] = self.memory.storage(tensor), len(self.memory.written(tensor))
        return index

    @property
    def _place(self) -> str:
        return self.where.path or "the network"


def _all_of(edges: Sequence[Edge], shape: Shape) -> int | None:
    """The one map that a tensor is all of, if there is one."""
    whole = len(edges) == 1 and edges[0] == Edge(edges[0].source, SAME, SAME, Pointwise(0, 0, shape[0]))
    return edges[0].source if whole else None
