"""Every table of the report, by id: what `show`, `explain` and the notebooks look up."""

import difflib
from collections.abc import Callable

from analysis import ablations, architecture, claims, comparison, costs
from analysis.cells import Table
from analysis.evidence import Evidence

ALL: dict[str, Callable[[Evidence], Table]] = {
    "table-1": architecture.table_1,
    "table-2": ablations.table_2,
    "table-3": ablations.table_3,
    "table-4": ablations.table_4,
    "table-5": ablations.table_5,
    "table-6": comparison.table_6,
    "table-6-one-unit": comparison.table_6_one_unit,
    "table-7": comparison.table_7,
    "table-7-one-unit": comparison.table_7_one_unit,
    "table-readings": costs.table_readings,
    "table-fields": architecture.table_fields,
    "table-stages": architecture.table_stages,
    "table-counters": costs.table_counters,
    "table-networks": costs.table_networks,
    "table-claims": claims.claims_table,
}


def table(name: str, evidence: Evidence) -> Table:
    """The table of that id, made from the evidence; a KeyError lists the nearest ids when there is none."""
    if name not in ALL:
        near = difflib.get_close_matches(name, ALL, n=3, cutoff=0.5) or list(ALL)
        raise KeyError(f"no table {name!r}; the nearest are {', '.join(near)}")
    return ALL[name](evidence)
