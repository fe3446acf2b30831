"""What differs between two exact records of one quantity: value, completeness, details, operators. Imports no torch."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.records.record import Record
from dpn.program.quantities import so_many, some

SHOWN = 3
"""How many operators of each kind of change are named; the rest is counted."""

OF_TORCH = frozenset({"free"})
"""Details that depend on torch's version: which operators without multiply-adds a network is made of."""

Operators = dict[tuple[str, int], dict[str, Any]]


def count_changes(base: Record, head: Record) -> tuple[str, ...]:
    """One phrase for each difference; none when both say the same.

    Example:
        >>> from bench.records.record import Record
        >>> base = Record(subject="a", spec_digest="0", metric="macs", metric_version=1, unit="MAC", value=4,
        ...     protocol={}, machine="exact", versions={}, commit="0", dirty=False, recorded_at="", detail={"n": 1})
        >>> count_changes(base, base.model_copy(update={"value": 5, "detail": {"n": 2}}))
        ('4 -> 5', 'n: 1 -> 2')
    """
    found = [f"{base.value} -> {head.value}"] if base.value != head.value else []
    if base.complete != head.complete:
        found.append("the count was incomplete" if head.complete else "the count is incomplete now")
    for name in sorted({*base.detail, *head.detail} - OF_TORCH):
        before, after = base.detail.get(name), head.detail.get(name)
        if before != after:
            rows = name == "columns" and all(_are_columns(side or {}) for side in (before, after))
            found.extend(_operator_changes(before or {}, after or {}) if rows else _changes(name, before, after))
    return tuple(found)


def _are_columns(found: Any) -> bool:
    """Whether these are columns at all; only of some metrics anybody checks what they hold."""
    return isinstance(found, Mapping) and all(isinstance(column, list) for column in found.values())


def _changes(name: str, before: Any, after: Any) -> list[str]:
    """A mapping's differing entries by their names, anything else as a whole."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [f"{name}: {_short(before)} -> {_short(after)}"]
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    shown = [f"{name}.{key}: {_short(before.get(key))} -> {_short(after.get(key))}" for key in keys[:SHOWN]]
    return shown + ([f"{len(keys) - SHOWN} more of {name}"] if len(keys) > SHOWN else [])


def _operator_changes(before: Mapping[str, Sequence[Any]], after: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    old, new = _operators(before), _operators(after)
    changed = {key: _fields(old[key], new[key]) for key in old if key in new and old[key] != new[key]}
    for verb, names in (
        ("added", [_name(key) for key in new if key not in old]),
        ("removed", [_name(key) for key in old if key not in new]),
        ("changed", [f"{_name(key)} ({fields})" for key, fields in changed.items()]),
    ):
        if names:
            yield f"{so_many(len(names), 'operator')} {verb}: {some(names, SHOWN)}"
    if not changed and list(old) != list(new) and set(old) == set(new):
        yield "the same operators in another order"


def _operators(columns: Mapping[str, Sequence[Any]]) -> Operators:
    """Operators by module and its how-manieth call, which stays the same when others come or go.

    Raises:
        ValueError: the columns have different lengths.
    """
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("detail.columns of a record of layers has columns of different lengths; measure it again")
    calls: Counter[str] = Counter()
    found: Operators = {}
    for values in zip(*columns.values(), strict=True):
        operator = dict(zip(columns, values, strict=True))
        module = str(operator.get("module", ""))
        found[module, calls[module]] = operator
        calls[module] += 1
    return found


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {_short(before.get(name))} -> {_short(after.get(name))}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    )


def _name(key: tuple[str, int]) -> str:
    module, call = key
    return (module or "the network itself") + (f", call {call + 1}" if call else "")


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
