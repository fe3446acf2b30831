"""How much of each cell to measure: `Plan`. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure.

    Attributes:
        processes: fresh processes for each cell.
        most_processes: how many it may get at most, because some were disturbed or the interval is wide.
        at_least: samples that a process takes, its warm-up included; fewer when one takes over `slow_s` seconds.
        keep: steady samples that a process must end with.
        least_s: seconds that a process samples at least.
        most_s: seconds after which a process without a steady state gives up.
        width: half the 95 % interval of the median over the median, at which a cell needs no further process.
        budget_s: seconds of sampling after which a cell gets no further process.
        slow_s: seconds from which on a call is slow; such a process takes four samples and keeps three.
    """

    processes: int = 5
    most_processes: int = 10
    at_least: int = 10
    keep: int = 8
    least_s: float = 0.5
    most_s: float = 10.0
    width: float = 0.03
    budget_s: float = 60.0
    slow_s: float = 1.5

    def __post_init__(self) -> None:
        if not 1 <= self.processes <= self.most_processes:
            raise ValueError(
                f"--processes {self.processes} and --most-processes {self.most_processes}: "
                "at least one, and no fewer at most than at least"
            )
        if self.keep < 1 or self.at_least < self.keep:
            raise ValueError(
                f"--keep {self.keep} and --at-least {self.at_least}: a process keeps 1 or more of its samples"
            )
