"""What is wrong with joints, and what it costs, in a data set in which each image stands so many times.

What is counted are whole numbers, and precision is that of `dpn.metrics.weighted_precision`, so that all is as of the
repeated images written out, to the last bit. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dpn.arrays import Floats
from dpn.metrics.average_precision import RECALLS, Ranked
from dpn.metrics.matching import Rows
from dpn.metrics.uncertainty import Name
from dpn.metrics.weighted_precision import WeightedPrecision

Share = tuple[Rows, Rows]
"""How many there are in each image (images,), and of how many (images,)."""


class WeightedErrors:
    """Shares, average recalls, average precisions and their gains by the weights of images.

    Attributes:
        names: of the numbers.
    """

    def __init__(
        self, shares: Mapping[Name, Share], recalls: Mapping[Name, Sequence[Share]], before: Ranked,
        after: Mapping[Name, Ranked],
    ) -> None:  # fmt: skip
        """Puts together what is summed together.

        Args:
            shares: by their names.
            recalls: by their names, a share at each threshold.
            before: found people as they are.
            after: the same ones with some of their joints changed; the same object twice is scored once.
        """
        precisions = [("scores", "AP"), *(("corrected", *name, "AP") for name in after)]
        self.names: list[Name] = [*shares, *recalls, *precisions, *(("gains", *name) for name in after)]
        self._shares, self._recalls = len(shares), len(recalls)
        each = [*shares.values(), *(one for several in recalls.values() for one in several)]
        columns = np.stack([part for part, _ in each] + [whole for _, whole in each], axis=1)
        sums, place = np.unique(columns, axis=1, return_inverse=True)
        self._sums = sums.astype(np.float64)  # whole numbers, which are multiplied several times as fast like this
        self._part, self._whole = np.split(place.reshape(-1), 2)
        ranked = list(dict.fromkeys((before, *after.values())))
        self._after = [ranked.index(one) for one in after.values()]
        self._precision = WeightedPrecision(_side_by_side(ranked))
        self._ranked = len(ranked)

    def __call__(self, weights: Rows) -> Floats:
        """The numbers (n,), from 0 to 1, NaN where there is none; gains are precisions after less the one before.

        Args:
            weights: (images,) whole numbers: how many times each image stands in the data set.
        """
        counts = weights @ self._sums
        part, whole = counts[self._part], counts[self._whole]
        shares = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        recalls = shares[self._shares :].reshape(self._recalls, -1).mean(axis=1)
        curves = self._precision.curves(weights).precision.reshape(-1, self._ranked, len(RECALLS))
        precisions = np.array([curve.mean() for curve in curves.swapaxes(0, 1).copy()])
        precisions[precisions < 0] = np.nan
        before, after = precisions[:1], precisions[self._after]
        return np.concatenate([shares[: self._shares], recalls, before, after, after - before])


def _side_by_side(several: Sequence[Ranked]) -> Ranked:
    """The curves of all people, whatever their size: at each threshold those of all, who are much alike there."""
    first = several[0]
    shape = 1, len(several) * first.true_positives.shape[1], len(first.image)
    return replace(
        first, positives=first.positives[:1],
        true_positives=np.stack([one.true_positives[0] for one in several], axis=1).reshape(shape),
        false_positives=np.stack([one.false_positives[0] for one in several], axis=1).reshape(shape),
    )  # fmt: skip
