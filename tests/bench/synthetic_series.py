"""Series of times whose steady state is known: flat, warm-up, slow drift, steps and none, by seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

KINDS = ("flat", "warm-up", "drift", "steps", "none")


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series and its truth.

    Attributes:
        kind: one of `KINDS`.
        samples: times, noise and spikes included.
        truth: first index from which the noise-free level stays within 1 % of its end, or None where it never settles.
        earliest: first index from which it stays within 5 % of its end, or within one standard deviation of the noise.
    """

    kind: str
    samples: Values
    truth: int | None
    earliest: int

    def right(self, found: int | None) -> bool:
        """Whether an answer is right.

        None must be None. A start may come no later than a tenth of the series (one sample at least) after the truth,
        and no earlier than where what is left of the warm-up drowns in the noise, give or take a fiftieth.
        """
        if self.truth is None or found is None:
            return found is None and self.truth is None
        n = len(self.samples)
        return self.earliest - n // 50 <= found <= self.truth + max(1, n // 10)


def series(number: int = 200, seed: int = 0) -> Iterator[Series]:
    """As many of each kind; noise of 1 to 10 % and spikes in every one, lengths from 6 to 3000."""
    generator = np.random.default_rng(seed)
    for index in range(number):
        kind = KINDS[index % len(KINDS)]
        short = index // len(KINDS) % 2 == 0
        noise = float(np.exp(generator.uniform(np.log(0.01), np.log(0.1))))
        level, settles = MAKERS[kind](generator, noise, short)
        yield _series(kind, level, settles, noise, generator)


def _series(kind: str, level: Values, settles: bool, noise: float, generator: np.random.Generator) -> Series:
    n = len(level)
    away = np.abs(level / level[-1] - 1)
    spiked = generator.random(n) < generator.uniform(0, 0.05)
    spiked[-1] = False
    samples = level * generator.lognormal(0, noise, n) * np.where(spiked, generator.uniform(1.5, 3, n), 1)
    return Series(
        kind=kind,
        samples=samples * generator.uniform(0.001, 1),
        truth=_after_last(away > 0.01) if settles else None,
        earliest=_after_last(away > max(0.05, noise)),
    )


def _after_last(where: NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(where)[-1]) + 1 if where.any() else 0


def _length(generator: np.random.Generator, least: int) -> int:
    return int(np.exp(generator.uniform(np.log(least), np.log(3000))))


def _flat(generator: np.random.Generator, _noise: float, short: bool) -> tuple[Values, bool]:
    n = int(generator.integers(6, 13)) if short else _length(generator, 20)
    return np.ones(n), True


def _warm_up(generator: np.random.Generator, noise: float, short: bool) -> tuple[Values, bool]:
    """One to three slow samples before six to twelve steady ones; in long series also a decay."""
    least = max(0.3, 4 * noise)
    steady = int(generator.integers(6, 13)) if short else _length(generator, 20)
    if short or generator.random() < 0.5:
        slow = np.sort(1 + least + generator.exponential(1, int(generator.integers(1, 4))))[::-1]
        return np.concatenate([slow, np.ones(steady)]), True
    decay = generator.uniform(0.01, 0.06) * steady
    return 1 + (least + generator.exponential(1)) * np.exp(-np.arange(steady) / decay), True


def _drift(generator: np.random.Generator, noise: float, _short: bool) -> tuple[Values, bool]:
    """Linear, or faster at first, up or down, over the whole series."""
    n = _length(generator, 30)
    total = generator.uniform(1, 2) * max(0.15, 4 * noise)
    path = np.linspace(0, 1, n) ** generator.choice([0.7, 1.0, 1.4])
    return (1 + total * path)[:: generator.choice([-1, 1])], False


def _steps(generator: np.random.Generator, noise: float, short: bool) -> tuple[Values, bool]:
    """One or two steps early, after which the series is steady, or one late, after which too little is left."""
    n = int(generator.integers(10, 17)) if short else _length(generator, 20)
    size = generator.uniform(1, 3) * max(0.1, 4 * noise)
    early = bool(generator.random() < 0.5)
    at = min(round(n * (generator.uniform(0.15, 0.4) if early else generator.uniform(0.65, 0.85))), n - 3)
    factor = (1 + size) ** generator.choice([-1, 1])
    level = np.where(np.arange(n) < at, 1.0, factor)
    if early and at >= 10 and generator.random() < 0.5:
        level[: at // 2] *= (1 + size) ** generator.choice([-1, 1])
    return level, early


def _none(generator: np.random.Generator, noise: float, _short: bool) -> tuple[Values, bool]:
    """Levels that keep changing, or a random walk that moves in its second half."""
    n = _length(generator, 30)
    apart = max(0.15, 4 * noise)
    if generator.random() < 0.5:
        ends = np.cumsum(generator.uniform(1 / 12, 1 / 5, 12) * n).astype(int)
        regime = np.searchsorted(ends, np.arange(n), side="right")
        moves = generator.choice([-1, 1], 13) * generator.uniform(1, 2, 13)
        moves[1:] = np.where(generator.random(12) < 0.7, -np.sign(moves[:-1]), np.sign(moves[:-1])) * np.abs(moves[1:])
        return np.exp(np.log1p(apart) * np.cumsum(moves)[regime]), False
    while True:
        path = np.cumsum(generator.normal(0, 2 * apart / np.sqrt(n), n))
        if np.ptp(path[n // 2 :]) > 2 * apart:
            return np.exp(path), False


MAKERS = {"flat": _flat, "warm-up": _warm_up, "drift": _drift, "steps": _steps, "none": _none}
