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
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from analysis.receptive_fields.field_graph import Map
from analysis.receptive_fields.field_rules import (
    RULES,
    SHAPE_ONLY,
    Rule,
    UntraceableError,
    pointwise,
    shape_of,
    tensors_in,
    unknown,
)
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.counting import build_subject
from bench.macs import CountError, Where, evaluation_mode, inside_modules, on_meta
from bench.subject import Subject


def trace(net: nn.Module, *inputs: Tensor | Sequence[int], device: str = "meta") -> FieldGraph:
    """Runs a network once in evaluation mode and returns the graph of its maps; the network is left as it was.

    Args:
        net: any module that takes images (B, C, H, W) as its first argument.
        inputs: the positional inputs of `forward`, as tensors or as shapes; fields refer to the first.
        device: "meta", where nothing is computed, or "cpu" for a network whose forward needs the values of tensors.

    Example:
        >>> graph = trace(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.MaxPool2d(3, 2, 1)), (1, 3, 64, 64))
        >>> graph.extent("output").size_hw, graph.extent("output").jump_hw
        ((7, 7), (Fraction(4, 1), Fraction(4, 1)))

    Raises:
        CountError: the forward pass failed.
        ValueError: the first input is not a batch of maps.
    """
    tensors = [value.to(device) if isinstance(value, Tensor) else _made(tuple(value), device) for value in inputs]
    if not tensors or tensors[0].dim() != 4:
        raise ValueError("the first input must be a batch of images, (B, C, H, W)")
    run = on_meta(net) if device == "meta" else net
    with evaluation_mode(net), inside_modules(net) as where, torch.inference_mode():
        tracer = _Tracer(where, tensors[0])
        where.returned = tracer.returned
        try:
            with torch.device(device), tracer:
                out = run(*tensors)
        except Exception as error:
            remedy = "check the input's size" + (", or trace on device cpu" if device == "meta" else "")
            raise CountError(f"{type(net).__name__} failed in {where.path or 'itself'}: {error}; {remedy}") from error
    final = tracer.last_of(out)
    names = {"input": 0, **tracer.names} | ({"output": final} if final is not None else {})
    return FieldGraph(tuple(tracer.maps), names)


def trace_subject(subject: Subject) -> tuple[nn.Module, FieldGraph]:
    """A network by name and its graph: without data, or with some where its forward pass needs the values of tensors.

    Raises:
        CountError: the forward pass failed both ways.
    """
    shape = (1, 3, *subject.input_hw)
    net = build_subject(subject)
    try:
        return net, trace(net, shape)
    except CountError:
        net = build_subject(subject, "cpu")
        return net, trace(net, shape, device="cpu")


def _made(shape: tuple[int, ...], device: str) -> Tensor:
    return torch.empty(shape, device=device) if device == "meta" else torch.rand(shape, device=device)


class _Tracer(TorchDispatchMode):
    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, for two seconds, only to keep it away from this mode."""
        return False

    def __init__(self, where: Where, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch ships it without annotations
        self.where = where
        self.maps = [Map("input", "", tuple(image.shape[1:]))]  # type: ignore[arg-type]
        self.names: dict[str, int] = {}
        self.calls: Counter[str] = Counter()
        self.of: MutableMapping[Tensor, int] = WeakIdKeyDictionary()  # maps that live; others cannot be read again
        self.of[image] = 0

    def returned(self, path: str, output: Any) -> None:
        """Told what a module returns; "a.b #2" is what it returns when it is called again."""
        index = self.last_of(output)
        if index is not None and path:
            self.calls[path] += 1
            self.names[path if self.calls[path] == 1 else f"{path} #{self.calls[path]}"] = index

    def last_of(self, output: Any) -> int | None:
        """The map that a module returns, the last one where it returns several."""
        found = [self.of[t] for t in tensors_in([output]) if t in self.of]
        return found[-1] if found else None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::").removeprefix("prim::")
        rule = RULES.get(name) or RULES.get(name.removesuffix("_"))
        elementwise = torch.Tag.pointwise in func.tags
        if rule is None and not elementwise and not func.is_view:
            with self:  # a composite operator: what it is made of comes by here again
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        sources = [t for t in tensors_in([*args, *kwargs.values()]) if t in self.of]
        if sources and name not in SHAPE_ONLY:
            self._note(name, rule or (pointwise if elementwise else unknown), func, args, kwargs, out, sources)
        return out

    def _note(
        self, name: str, rule: Rule, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any,
        sources: Sequence[Tensor],
    ) -> None:  # fmt: skip
        indices = tuple(dict.fromkeys(self.of[t] for t in sources))
        known = func._schema.arguments
        arguments = {a.name: a.default_value for a in known if a.has_default_value()}
        arguments |= {a.name: value for a, value in zip(known, args, strict=False)} | dict(kwargs)
        outs = tensors_in([out])
        try:
            made = rule(arguments, outs, self.of)
            problem = ""
        except UntraceableError as error:
            made, problem = [()] * len(outs), f"{name} in {self.where.path or 'the network'}: {error}"
        for tensor, edges in zip(outs, made, strict=True):
            self._add(tensor, Map(name, self.where.path, shape_of(tensor), tuple(edges), indices, problem))
        if func._schema.is_mutable and isinstance(args[0], Tensor):
            self._written(name, args[0], indices)

    def _add(self, tensor: Tensor, made: Map) -> None:
        self.maps.append(made)
        self.of[tensor] = len(self.maps) - 1

    def _written(self, name: str, target: Tensor, indices: tuple[int, ...]) -> None:
        """After writing in place: other maps in the same memory are no longer what they were."""
        memory = target.untyped_storage()._cdata
        for other in [t for t in self.of if t is not target and t.untyped_storage()._cdata == memory]:
            problem = f"{name} in {self.where.path or 'the network'}: it writes into memory that two maps share"
            sources = tuple(dict.fromkeys((*indices, self.of[other])))
            self._add(other, Map(name, self.where.path, shape_of(other), (), sources, problem))
