"""Every table of the report, by id: what `show`, `explain` and the notebooks look up."""

import difflib
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from analysis.claims.audit import claims_table
from analysis.evidence import Evidence
from analysis.field_tables import fields
from analysis.field_tables import neighbours as gridding_table
from analysis.paper import ablations, architecture, comparison, costs, one_unit
from analysis.tabular.cells import Cell, Column, Row, State, Table, label
from analysis.timing import speed, speed_machine, speed_verdicts
from analysis.trained import orderings, orderings_table, synthetic_tables, trained_runs

TRAINED: dict[str, Callable[[Evidence], Table]] = {
    **{f"{name}{synthetic_tables.SUFFIX}": partial(synthetic_tables.table, name) for name in trained_runs.TABLES},
    orderings_table.ID: orderings_table.table,
}
"""Tables of networks trained on synthetic figures."""

OPTIONAL = frozenset({*TRAINED, *(name for name, kind in speed.PER_MACHINE.items() if kind.holding)})
"""Tables that the page has only where there is something to show in them."""

ALL: dict[str, Callable[[Evidence], Table]] = {
    "table-1": architecture.table_1,
    "table-2": ablations.table_2,
    "table-3": ablations.table_3,
    "table-4": ablations.table_4,
    "table-5": ablations.table_5,
    **TRAINED,
    "table-6": comparison.table_6,
    "table-6-one-unit": partial(one_unit.table, "table-6"),
    "table-7": comparison.table_7,
    "table-7-one-unit": partial(one_unit.table, "table-7"),
    "table-readings": costs.table_readings,
    "table-fields": architecture.table_fields,
    "table-gridding": fields.table_gridding,
    gridding_table.ID: gridding_table.table_neighbours,
    "table-field-claims": fields.table_field_claims,
    "table-sees": fields.table_sees,
    "table-stages": architecture.table_stages,
    "table-counters": costs.table_counters,
    "table-networks": costs.table_networks,
    "table-conventions": costs.table_conventions,
    speed_verdicts.ID: speed_verdicts.table_time_verdicts,
    **{name: partial(speed.table, name) for name in speed.PER_MACHINE},
    "table-ceilings": speed_machine.table_ceilings,
    "table-noise": speed_machine.table_noise,
    "table-claims": claims_table,
    "table-agreement": lambda evidence: table_agreement(evidence),
}

STATES: tuple[State, ...] = ("match", "differs", "stale", "measured", "reported", "missing")


def table_agreement(evidence: Evidence) -> Table:
    """How every other table compares with print: cells by state."""
    rows = []
    for name in ALL:
        if name == "table-agreement" or not (made := tables(name, evidence)):
            continue
        counts = sum((one.counts() for one in made), Counter[State]())
        if any(counts.get(state) for state in STATES):
            shown = {s: Cell(text=str(counts.get(s, 0)), value=counts.get(s, 0), how="cells counted") for s in STATES}
            rows.append(Row(name, {"table": label(made[0].title)} | shown))
    return Table(
        id="table-agreement",
        title="What matches and what differs",
        caption="Cells of each table by state: measured values that print the paper's digits, and those that do not.",
        columns=(
            Column(id="table", label="Table", align="left"),
            *(Column(id=s, label=s) for s in STATES),
        ),
        rows=tuple(rows),
        notes=("Only Table I to the letter differs; the other tables build the network that the costs imply.",)
        if {row.id for row in rows if row.cells["differs"].value} == {"table-readings"}
        else (),
    )


def table(name: str, evidence: Evidence) -> Table:
    """The table of that id, in any case, made from the evidence.

    A table of one machine has an id for each: table-latency of the first, table-latency-2 of the second.

    Raises:
        KeyError: there is none; see `known`.
    """
    base, _, number = name.lower().rpartition("-")
    if base in speed.PER_MACHINE and number.isdecimal():
        return speed.table(base, evidence, int(number))
    return ALL[known("table", name, ALL)](evidence)


def known(kind: str, name: str, ids: Collection[str]) -> str:
    """The id of that name, in any case, of a table, a figure or an answer.

    Raises:
        KeyError: there is none; names the nearest, those that begin alike first, or all where none is near.
    """
    asked, name = name, name.lower()
    if name not in ids:
        near = difflib.get_close_matches(name, ids, n=len(ids), cutoff=0.5)
        near.sort(key=lambda one: max(n for n in range(len(name) + 1) if one.startswith(name[:n])), reverse=True)
        there = f"the nearest are {', '.join(near[:3])}" if near else f"there are {', '.join(ids)}"
        raise KeyError(f"no {kind} {asked!r}; {there}")
    return name


def titles(evidence: Evidence) -> dict[str, str]:
    """By id the title of every table, but of the optional ones that are empty; with the machine of one for each.

    No number is looked up for it: some tables take many seconds.
    """
    bare, found = replace(evidence, records_root=Path(os.devnull) / "none"), {}
    for name, make in ALL.items():
        title = make(bare).title
        for number, machine in enumerate(_machines(name, evidence), 1):
            found[name if number == 1 else f"{name}-{number}"] = f"{title}, {machine}"
        if not (name in found or _is_left_out(name, evidence)):
            found[name] = title
    return found


def _machines(name: str, evidence: Evidence) -> tuple[str, ...]:
    """The machines of a table that stands once for each; none of any other."""
    return speed.PER_MACHINE[name].machines(evidence) if name in speed.PER_MACHINE else ()


def as_written(name: str, ids: Collection[str]) -> str:
    """The id that is the name but for its case, where there is none that is the name.

    Example:
        >>> as_written("DPN4_64", ["dpn4_32", "dpn4_64"]), as_written("ap", ["AP", "ap"]), as_written("x", [])
        ('dpn4_64', 'ap', 'x')
    """
    alike = {one.casefold(): one for one in ids}
    return name if name in ids else alike.get(name.casefold(), name)


def tables(name: str, evidence: Evidence) -> tuple[Table, ...]:
    """The table of that id; for each machine where it stands once for each; none where an optional one is empty."""
    if _is_left_out(name, evidence):
        return ()
    return speed.every_machine(name, evidence) if name in speed.PER_MACHINE else (table(name, evidence),)


def _is_left_out(name: str, evidence: Evidence) -> bool:
    if name not in OPTIONAL:
        return False
    if name in speed.PER_MACHINE:
        return not speed.PER_MACHINE[name].machines(evidence)
    if name == orderings_table.ID:
        return orderings.is_empty(evidence)
    return synthetic_tables.is_empty(name.removesuffix(synthetic_tables.SUFFIX), evidence)
