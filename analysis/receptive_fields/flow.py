"""Carries a unit's field from map to map along the edges of a network, backward or forward. No torch."""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.receptive_fields.axes import SAME, Axis, Frame, connect
from analysis.receptive_fields.field_graph import Channels, Chosen, Edge, Field, Kind, Parts, Pointwise, Route, Wiring


class Backward:
    """Walks from a map to those before it, or to one of them alone."""

    def __init__(self, graph: Wiring, start: int, end: int | None = None) -> None:
        self.graph = graph
        members = graph.ancestors(start) if end is None else graph.between(start, end)
        self.order = sorted(members, reverse=True)
        self.tainted: dict[int, str] = {}
        for i in self.order:
            problem = graph.maps[i].problem or self.tainted.get(i, "")
            if problem:
                self.tainted |= dict.fromkeys(graph.maps[i].below & members, problem)

    def edges(self, i: int) -> Iterator[tuple[int, Edge]]:
        """The edges from a map to where the walk goes on, with the map at their other end."""
        for edge in self.graph.maps[i].edges:
            yield edge.source, edge

    @staticmethod
    def frame(rule: Axis, frame: Frame) -> Frame:
        """The frame at the other end of an edge that a frame here needs."""
        return rule.reach(frame)

    @staticmethod
    def connected(rule: Axis, here: Frame, there: Frame, values: NDArray[Any], axis: int, clamp: bool) -> NDArray[Any]:
        """Values here, carried along one axis of an edge."""
        return connect(rule, here, there, clamp=clamp).backward(values, axis)

    @staticmethod
    def channels(rule: Route, parts: Parts) -> Parts:
        """Values by channel here, as values by channel at the other end."""
        if isinstance(rule, Pointwise):
            return _shifted(parts, rule.to, rule.start, rule.size)
        if isinstance(rule, Chosen):
            return _paired(parts, rule.pairs)
        return _grouped(parts, rule.outs, rule.ins, rule.groups)


class Forward:
    """Walks from a map to those after it."""

    def __init__(self, graph: Wiring, start: int) -> None:
        self.graph = graph
        members = graph.descendants(start)
        self.order = sorted(members)
        self.tainted: dict[int, str] = {}
        for i in self.order:
            sources = graph.maps[i].below & members
            problem = graph.maps[i].problem if i != start else ""
            problem = problem or next((self.tainted[s] for s in sorted(sources) if s in self.tainted), "")
            if problem and i != start:
                self.tainted[i] = problem

    def edges(self, i: int) -> Iterator[tuple[int, Edge]]:
        """The edges from a map to where the walk goes on, with the map at their other end."""
        for reader in self.graph.readers[i]:
            for edge in self.graph.maps[reader].edges:
                if edge.source == i:
                    yield reader, edge

    @staticmethod
    def frame(rule: Axis, frame: Frame) -> Frame:
        """The frame at the other end of an edge that a frame here needs."""
        return rule.reached(frame)

    @staticmethod
    def connected(rule: Axis, here: Frame, there: Frame, values: NDArray[Any], axis: int, clamp: bool) -> NDArray[Any]:
        """Values here, carried along one axis of an edge."""
        return connect(rule, there, here, clamp=clamp).forward(values, axis)

    @staticmethod
    def channels(rule: Route, parts: Parts) -> Parts:
        """Values by channel here, as values by channel at the other end."""
        if isinstance(rule, Pointwise):
            return _shifted(parts, rule.start, rule.to, rule.size)
        if isinstance(rule, Chosen):
            return _paired(parts, [(start, to) for to, start in rule.pairs])
        return _grouped(parts, rule.ins, rule.outs, rule.groups)


class Flow:
    """Carries values along the edges of a walk."""

    def __init__(self, graph: Wiring, kind: Kind, bounded: bool) -> None:
        self.graph, self.kind, self.bounded = graph, kind, bounded

    def run(
        self, start: int, units: Sequence[Sequence[int]], channel: int | None,
        keep: Sequence[str | int] | None, walk: Backward | Forward,
    ) -> dict[int, Field]:  # fmt: skip
        """The fields of some units of the map `start`, on the maps to `keep`; on all of them where that is None."""
        places = np.array(units, dtype=np.int64).reshape(-1, 2)
        known = [i for i in walk.order if i not in walk.tainted]
        wanted = set(known) if keep is None else {self.graph.index(name) for name in keep}
        frames = self._frames(start, places, known, walk)
        dtype = self._dtype(start, known, walk)
        waiting: dict[int, Parts] = {start: self._seed(start, places, channel, frames[start], dtype)}
        fields: dict[int, Field] = {}
        for i in known:
            parts = waiting.pop(i, {})
            here = frames[i]
            if i in wanted and here is not None:
                fields[i] = self._field(parts, here, len(places), dtype)
            if not parts or here is None:
                continue
            for other, edge in walk.edges(i):
                there = frames.get(other)
                if other in walk.tainted or there is None:
                    continue
                arriving = waiting.setdefault(other, {})
                for channels, values in walk.channels(edge.channels, parts).items():
                    add(arriving, channels, self._moved(values, edge, here, there, walk))
        return fields

    def _moved(
        self, values: NDArray[Any], edge: Edge, here: tuple[Frame, Frame], there: tuple[Frame, Frame],
        walk: Backward | Forward,
    ) -> NDArray[Any]:  # fmt: skip
        for axis, rule, a, b in ((-2, edge.y, here[0], there[0]), (-1, edge.x, here[1], there[1])):
            if rule != SAME or a != b:
                values = walk.connected(rule, a, b, values, axis, self.bounded)
        return values

    def _frames(
        self, start: int, places: NDArray[np.int64], known: Sequence[int], walk: Backward | Forward
    ) -> dict[int, tuple[Frame, Frame] | None]:
        """The part of each map that can hold anything: all of it where maps are bounded."""
        if self.bounded:
            return {i: ((0, self.graph.maps[i].shape[1] - 1), (0, self.graph.maps[i].shape[2] - 1)) for i in known}
        low, high = places.min(axis=0).tolist(), places.max(axis=0).tolist()
        frames: dict[int, tuple[Frame, Frame] | None] = dict.fromkeys(known)
        frames[start] = (low[0], high[0]), (low[1], high[1])
        for i in known:
            here = frames[i]
            if here is None:
                continue
            for other, edge in walk.edges(i):
                if other not in frames:
                    continue
                old = frames[other]
                rows = hull(old and old[0], walk.frame(edge.y, here[0]))
                columns = hull(old and old[1], walk.frame(edge.x, here[1]))
                frames[other] = (rows, columns) if rows and columns else None
        return frames

    def _dtype(self, start: int, known: Sequence[int], walk: Backward | Forward) -> Any:
        """Booleans, floats, 64-bit integers where they suffice, else Python's own."""
        if self.kind != "paths":
            return np.bool_ if self.kind == "support" else np.float64
        bound = {start: 1}
        for i in known:
            for other, edge in walk.edges(i) if i in bound else ():
                bound[other] = bound.get(other, 0) + bound[i] * edge.y.most * edge.x.most
        return np.int64 if max(bound.values()) < 2**62 else np.object_

    def _seed(
        self, start: int, places: NDArray[np.int64], channel: int | None, frame: Any, dtype: Any
    ) -> Parts:  # fmt: skip
        (top, bottom), (left, right) = frame
        inside = (places >= (top, left)) & (places <= (bottom, right))
        if not inside.all():
            wrong = places[~inside.all(axis=1)][0].tolist()
            shape = "x".join(map(str, self.graph.maps[start].shape[1:]))
            raise ValueError(f"unit {wrong} is not on the map, which is {shape}")
        values = np.zeros((len(places), bottom - top + 1, right - left + 1), dtype=dtype)
        values[np.arange(len(places)), places[:, 0] - top, places[:, 1] - left] = 1
        channels = self.graph.maps[start].shape[0]
        if channel is not None and not 0 <= channel < channels:
            raise ValueError(f"channel {channel} is not on the map, which has {channels}")
        return {(1 << channels) - 1 if channel is None else 1 << channel: values}

    def _field(self, parts: Parts, frame: tuple[Frame, Frame], units: int, dtype: Any) -> Field:
        (top, bottom), (left, right) = frame
        total = np.zeros((units, bottom - top + 1, right - left + 1), dtype=dtype)
        for values in parts.values():
            total = total + values
        return Field(total, (top, left), len(parts))


def hull(frame: Frame | None, other: Frame) -> Frame | None:
    """The smallest frame around two; an empty one (last < first) adds nothing."""
    if other[1] < other[0]:
        return frame
    return other if frame is None else (min(frame[0], other[0]), max(frame[1], other[1]))


def _shifted(parts: Parts, start: int, to: int, size: int) -> Parts:
    """The channels from `start` on, `size` of them, as channels from `to` on."""
    found: Parts = {}
    for channels, values in parts.items():
        add(found, (channels >> start & (1 << size) - 1) << to, values)
    return found


def _paired(parts: Parts, pairs: Sequence[tuple[int, int]]) -> Parts:
    """The first channel of each pair as the second."""
    found: Parts = {}
    for channels, values in parts.items():
        add(found, reduce(or_, (1 << there for here, there in pairs if channels >> here & 1), 0), values)
    return found


def _grouped(parts: Parts, here: int, there: int, groups: int) -> Parts:
    """What comes by channels of some groups, on all channels of these groups on the other side."""
    if here == there == groups:
        return dict(parts)
    found: Parts = {}
    own, other = here // groups, there // groups
    for channels, values in parts.items():
        met = (g for g in range(groups) if channels >> g * own & (1 << own) - 1)
        add(found, sum(((1 << other) - 1) << g * other for g in met), values)
    return found


def add(parts: Parts, channels: Channels, values: Any) -> None:
    """Adds what comes by a set of channels, if there is any."""
    if channels:
        parts[channels] = parts[channels] + values if channels in parts else values
