"""Which people are in which step: continued runs, several processes and one process see the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpn.training.order import Steps, epoch_order, shard

RUNS = st.builds(
    dict,
    seed=st.integers(0, 99),
    batch=st.sampled_from([2, 4, 6, 12]),
    epochs=st.integers(1, 4),
    count=st.integers(12, 40),
)


@given(RUNS, st.data())
def test_a_continued_run_sees_what_an_undisturbed_one_would(run: dict[str, int], data: st.DataObject) -> None:
    whole = list(Steps(**run))
    first = data.draw(st.integers(0, len(whole)))
    rest = Steps(**run, first=first)
    assert list(rest) == whole[first:]
    assert len(rest) == len(whole) - first


@given(RUNS, st.sampled_from([1, 2]))
def test_processes_share_every_step_between_them(run: dict[str, int], world: int) -> None:
    shares = [list(Steps(**run, rank=rank, world=world)) for rank in range(world)]
    for together, *parts in zip(Steps(**run), *shares, strict=True):
        assert sorted(together) == sorted(drawn for part in parts for drawn in part)
        assert {len(part) for part in parts} == {run["batch"] // world}


@given(RUNS)
def test_an_epoch_has_nobody_twice_and_leaves_out_less_than_a_batch(run: dict[str, int]) -> None:
    steps = list(Steps(**run))
    for epoch in range(run["epochs"]):
        numbers = [number for batch in steps for of, number in batch if of == epoch]
        assert len(numbers) == len(set(numbers)) > run["count"] - run["batch"]
        assert all(0 <= number < run["count"] for number in numbers)


def test_epochs_and_seeds_differ() -> None:
    orders = [tuple(epoch_order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


@pytest.mark.parametrize(("batch", "world", "said"), [(10, 3, "--batch 10 cannot be shared by 3"), (64, 1, "lower it")])
def test_what_cannot_be_shared_is_refused(batch: int, world: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Steps(seed=0, count=32, batch=batch, epochs=1, world=world)


@given(st.integers(0, 50), st.integers(1, 5))
def test_shards_have_everybody_once(count: int, world: int) -> None:
    """A padding sampler would repeat people in the last share (protocol, trap 11 of section 11)."""
    rows = np.concatenate([shard(count, rank, world) for rank in range(world)])
    assert sorted(rows.tolist()) == list(range(count))
