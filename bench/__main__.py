"""`python -m bench`: list, count, measure, verify, opinions, accuracy, trained, duel, trials, compare, export."""

from collections.abc import Sequence
from typing import NoReturn

from dpn.program.interrupts import quiet
from dpn.program.missing import told

with quiet(), told():
    from bench.machine import nvml
    from bench.verbs.accuracy import accuracy, trained
    from bench.verbs.compare import compare, export
    from bench.verbs.count import count, opinions
    from bench.verbs.duel import duel, trials
    from bench.verbs.measure import list_, measure, verify
    from dpn.program import cli


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Does what the words say, by default those of the command line, and exits; see `cli.run`."""
    nvml.number_alike()  # for the workers of older commits, too, which do not see to it
    cli.run(
        "python -m bench",
        "Counts and times networks, and keeps the numbers with their provenance.",
        {
            "list": list_,
            "count": count,
            "measure": measure,
            "verify": verify,
            "opinions": opinions,
            "accuracy": accuracy,
            "trained": trained,
            "duel": duel,
            "trials": trials,
            "compare": compare,
            "export": export,
        },
        arguments,
    )


if __name__ == "__main__":
    main()
