"""`python -m analysis`: report, show, explain, figure, gallery, and what looks into networks: fields and gridding."""

from collections.abc import Sequence
from typing import NoReturn

from dpn.program.interrupts import quiet
from dpn.program.missing import told

with quiet(), told():
    from analysis.verbs.effective import effective
    from analysis.verbs.erf import erf
    from analysis.verbs.figures import figure, gallery
    from analysis.verbs.gridding import gridding
    from analysis.verbs.neighbours import neighbours
    from analysis.verbs.receptive_field import receptive_field
    from analysis.verbs.report import report
    from analysis.verbs.tables import explain, show
    from analysis.verbs.trace import trace
    from dpn.program import cli


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Does what the words say, by default those of the command line, and exits; see `cli.run`."""
    cli.run(
        "python -m analysis",
        "Turns records into tables, figures and one page, and looks into networks.",
        {
            "report": report, "show": show, "explain": explain, "figure": figure, "gallery": gallery,
            "receptive-field": receptive_field, "gridding": gridding, "erf": erf, "trace": trace,
            "effective": effective, "neighbours": neighbours,
        },
        arguments,
    )  # fmt: skip


if __name__ == "__main__":
    main()
