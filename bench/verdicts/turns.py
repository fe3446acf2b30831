"""Times of two records compared: in turns where one sweep measured both, with room for drift where not. No torch."""

from bench.records.rows import Row
from bench.statistics import Comparison, compare_processes

APART = 0.3
"""How far times of one machine may lie apart for the hour alone, relative: the worst that was seen.

Five pairs of networks with the same layers in another order, measured undisturbed 24 to 36 minutes apart on two shared
machines of two cores in four or six settings each, had ratios from 0.96 to 1.30, 26 of 28 of them below 1.25 (`dpnN_32`
and `dpnN_32_reversed` in the records of November 2026). Both above it are of eager PyTorch with two threads, where
networks whose dilations differ, too, and may differ by that alone, lay up to 36 % apart within half an hour and 50 %
within two. These are five draws of an hour rather than 28; processes of one record, minutes apart at most, know nothing
of it.
"""


def compare_times(base: Row, head: Row, effect: float = 0.05) -> Comparison:
    """Head against base by their fresh processes.

    Args:
        base: times or rates to compare with.
        head: the same of the other.
        effect: the smallest relative difference that matters.
    """
    apart = 0.0 if in_turns(base, head) else APART
    return compare_processes(base.times_by_process, head.times_by_process, effect, apart=apart)


def in_turns(base: Row, head: Row) -> bool:
    """Whether one process of each was measured in the same rounds; a cell that wanted more has some by itself.

    Records from before rounds were noted had turns among the cells of one network alone.
    """
    ours, others = set(base.rounds), set(head.rounds)
    return 2 * len(ours & others) > max(len(ours), len(others))
