"""Intervals of few draws, by how often they hold the truth in simulations with the module's own functions."""

import numpy as np
import pytest

from analysis.effective_fields.few_draws import FEW_IMAGES, over_draws, widened
from analysis.effective_fields.gridding_measured import Measured, Watched, _pair_cosines, _resampled, _told

ASKED = Watched(units=[(0, 0)], to=["a"])


@pytest.mark.parametrize("networks", [2, 3, 8])
def test_the_interval_over_networks_holds_their_mean_as_often_as_it_says(networks: int) -> None:
    rng, covered, bare = np.random.default_rng(networks), 0, 0
    for _ in range(300):
        own = rng.normal(0.5, 0.02, (networks, 1, 1))
        (_, found) = _told(ASKED, list(np.broadcast_to(own, (networks, 1, 1001))), 32, 1, 0)
        covered += found.interval.low <= 0.5 <= found.interval.high
        bare += found.low <= 0.5 <= found.high
    assert covered / 300 >= 0.91  # 0.93 and more, give or take sampling
    assert bare / 300 < 0.91


@pytest.mark.parametrize(("images", "least"), [(4, 0.75), (16, 0.8), (32, 0.85)])
def test_the_interval_over_few_images_holds_the_truth_less_often_than_95_percent_and_far_more_often_than_bare(
    images: int, least: float
) -> None:
    rng, held, bare, trials = np.random.default_rng(images), 0, 0, 200
    weights = _resampled(images, 0)
    for _ in range(trials):
        truth = np.exp(-np.linspace(0, 4, 40)) * rng.lognormal(0, 0.5, (2, 40))
        goal = truth[0] @ truth[1] / np.prod(np.linalg.norm(truth, axis=1))
        maps = truth[:, None, None] * rng.chisquare(1, (2, images, 1, 40))
        (_, found) = _told(ASKED, [[_pair_cosines(maps, [(0, 1)], weights)]], images, 1, 0)
        held += found.interval.low <= goal <= found.interval.high
        bare += found.low <= goal <= found.high
    assert least <= held / trials <= 0.95
    assert bare < held
    assert images < FEW_IMAGES


def test_the_draws_are_the_networks_or_the_images_of_one() -> None:
    one = Measured(map="a", value=0.5, low=0.45, high=0.55, images=32, units=1)
    assert one.interval == over_draws((0.45, 0.55), 32, 1) == widened((0.45, 0.55), 32)
    assert over_draws((0.45, 0.55), 32, 8) == widened((0.45, 0.55), 8)


def test_an_interval_ends_where_its_value_can_be() -> None:
    found = widened((0.1, 0.9), 2, 1.0)
    assert (found.low, found.high, found.confidence) == (0, 1, 0.95)
    assert widened((0.1, 0.9), 2).high > 1
    assert (widened((0.0, 0.0), 2).low, widened((0.0, 0.0), 2).high) == (0, 0)
