"""How often the harness errs on a machine, from comparisons whose true answer is known. Imports no torch."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.records.rows import Row
from bench.verdicts import copies
from bench.verdicts.duel import Rules
from bench.verdicts.trials import decided

FALSE_ALARMS = frozenset({"faster", "slower"})

HOW_TO_MEASURE = "python -m bench trials"


@dataclass(frozen=True, kw_only=True)
class NoiseFloor:
    """What the trials and copies of one machine came to.

    Attributes:
        machine: the machine's key.
        same: how many duels of a network with itself there were.
        false_alarms: how many of these were called faster or slower.
        slowdowns: by true ratio above 1, how many duels there were and how many were called slower.
        pairs: of records of copies of one network, in one sweep.
        pair_alarms: how many of these were called faster or slower.
    """

    machine: str
    same: int
    false_alarms: int
    slowdowns: dict[float, tuple[int, int]]
    pairs: int = 0
    pair_alarms: int = 0

    def sentence(self) -> str:
        """The noise floor in one sentence.

        Example:
            >>> NoiseFloor(machine="m", same=99, false_alarms=1, slowdowns={1.1: (9, 8)}).sentence()
            '1 of 99 duels of 8 rounds of a network with itself gave a false alarm; 8 of 9 slowdowns of 10 % were found'
        """
        parts = []
        if self.same:
            duels = f"{self.same} duels of {Rules().rounds} rounds of a network with itself"
            parts.append(f"{self.false_alarms} of {duels} gave a false alarm")
        for ratio, (trials, found) in sorted(self.slowdowns.items()):
            parts.append(f"{found} of {trials} slowdowns of {100 * (ratio - 1):.3g} % were found")
        if self.pairs:
            parts.append(f"{self.pair_alarms} of {self.pairs} pairs of records of one network gave a false alarm")
        return "; ".join(parts)


def noise_floor(rows: Iterable[Row], machine: str) -> NoiseFloor | None:
    """The noise floor of a machine, or None where it has neither trials nor copies.

    Args:
        rows: any rows; trials and copies on this machine count, each with the verdict that today's rules give it.
        machine: the machine's key.
    """
    verdicts: dict[float, list[str]] = {}
    records = [row.record for row in rows if row.record.machine == machine]
    for record, found in decided(records):
        verdicts.setdefault(float(str(record.protocol["true_ratio"])), []).append(found.verdict)
    pairs = [found.verdict for one in copies.found(records) for found in one.comparisons()]
    if not verdicts and not pairs:
        return None
    same = verdicts.pop(1.0, [])
    return NoiseFloor(
        machine=machine,
        same=len(same),
        false_alarms=alarms(same),
        slowdowns={ratio: (len(found), found.count("slower")) for ratio, found in verdicts.items() if ratio > 1},
        pairs=len(pairs),
        pair_alarms=alarms(pairs),
    )


def alarms(verdicts: Iterable[str]) -> int:
    """How many verdicts of equals are false alarms.

    Example:
        >>> alarms(["same", "slower", "ambiguous", "faster"])
        2
    """
    return sum(verdict in FALSE_ALARMS for verdict in verdicts)


def noise_sentence(rows: Iterable[Row], machine: str) -> str:
    """The noise floor of a machine in one sentence, or how to measure it."""
    floor = noise_floor(rows, machine)
    return floor.sentence() if floor else f"not measured on this machine; run: {HOW_TO_MEASURE}"
