"""How much of each cell to measure: `Plan`. Imports no torch."""

import math
from dataclasses import dataclass

FEWEST_PROCESSES = 3
"""Processes that a cell gets however slow it is."""

FEWEST_KEPT = 3
"""Steady samples that a process ends with however slow a call is."""

HUNG_AFTER = 10
"""So many times what the plan lets a process take, a process is taken to hang: machines are busy, never that busy."""

BUILT_WITHIN_S = 600.0
"""What building, exporting and compiling a network may take beside, which no plan limits."""


def check_range(name: str, least: int, most: int) -> None:
    """Raises ValueError unless --NAME and --most-NAME, such as processes or rounds, are a range that begins at one."""
    if not 1 <= least <= most:
        raise ValueError(f"--{name} {least} and --most-{name} {most}: at least one, and no fewer at most than at least")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure: 30 samples or 10 seconds, spread over six fresh processes, unless you say otherwise.

    Six is the fewest whose range is a 95 % interval of their median: that of five is one of 93.75 %.

    Attributes:
        processes: fresh processes for each cell.
        most_processes: how many it may get at most, because some were disturbed or the interval is wide.
        samples: steady samples of a cell.
        seconds: of sampling that are enough for a cell whose calls are slow, with fewer samples.
        least_s: seconds that a process samples at least.
        most_s: seconds after which a process without a steady state gives up.
        width: half the interval of the processes' median over that median, at which a cell needs no further process.
        budget_s: seconds of sampling after which a cell gets no further process for its number or its width. Three it
            gets in any case, and one that has its number still gets others for those that were disturbed.
    """

    processes: int = 6
    most_processes: int = 10
    samples: int = 30
    seconds: float = 10.0
    least_s: float = 0.4
    most_s: float = 8.0
    width: float = 0.05
    budget_s: float = 60.0

    def check(self) -> None:
        """Called where the numbers are used, so that a command line says in one line what is wrong with them.

        Raises:
            ValueError: numbers that make no sense; names the option.
        """
        check_range("processes", self.processes, self.most_processes)
        for name in ("samples", "seconds", "least_s", "most_s", "width", "budget_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"--{name.replace('_', '-')} {value}: must be a finite number above 0")

    def of_process(self, call_s: float) -> tuple[int, int]:
        """Samples that a process takes at least, and how many of them must be steady.

        Example:
            >>> Plan().of_process(0.05), Plan().of_process(1.0), Plan().of_process(20.0)
            ((7, 5), (4, 3), (4, 3))
        """
        share = math.ceil(self.samples / self.processes)
        enough = math.ceil(self.seconds / self.processes / max(call_s, 1e-9))
        keep = min(share, max(FEWEST_KEPT, enough))
        return (keep + 2 if keep == share else keep + 1), keep

    def patience_s(self, call_s: float = 0.0) -> float:
        """Seconds after which a process that has not answered hangs, given how long one call takes, where it is known.

        Example:
            >>> Plan().patience_s(), Plan().patience_s(call_s=100.0)
            (1200.0, 4600.0)
        """
        longest = max(self.least_s, self.most_s, self.seconds, self.budget_s, self.of_process(call_s)[0] * call_s)
        return HUNG_AFTER * longest + BUILT_WITHIN_S

    def fewest_processes(self) -> int:
        """Processes that a cell gets whatever they cost."""
        return min(FEWEST_PROCESSES, self.processes)
