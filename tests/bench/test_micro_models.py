"""Every micro-model, on meta and on real tensors: the counter and the hand agree without any difference."""

from collections import Counter

import pytest

from bench.counts.conventions import AT_OUTPUT, KINDS
from bench.counts.macs import count
from tests.bench.micro_models import _CONVOLUTIONS, _DENSE, _NOTHING, _TRANSPOSED, _UNKNOWN, MICRO_MODELS, MicroModel

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")

CASES = [
    pytest.param(model, device, id=f"{model.name}-{device}")
    for model in MICRO_MODELS.values()
    for device in ("meta", "cpu")
    if device == "cpu" or not model.reads_values
]


@pytest.mark.parametrize(("model", "device"), CASES)
def test_counter_and_hand_agree(model: MicroModel, device: str) -> None:
    counted = count(model.build(), *model.inputs, device=device)
    assert counted.macs == model.macs
    assert counted.live_macs == model.live_macs
    assert counted.params == model.params
    assert {kind: macs for kind, macs in counted.macs_by_kind.items() if macs} == dict(model.macs_by_kind)
    assert {op for op, _ in counted.unknown} == set(model.unknown)
    assert counted.complete == (not model.unknown)


def test_no_model_hides_behind_another_of_the_same_name() -> None:
    rows = (*_CONVOLUTIONS, *_TRANSPOSED, *_DENSE, *_NOTHING, *_UNKNOWN)
    assert [name for name, times in Counter(model.name for model in rows).items() if times > 1] == []
    assert len(MICRO_MODELS) == len(rows) >= 48


def test_every_kind_of_operator_has_its_models() -> None:
    covered = Counter(kind for model in MICRO_MODELS.values() for kind in model.macs_by_kind)
    assert set(covered) == {*KINDS, AT_OUTPUT}
    assert min(covered.values()) >= 5
    assert sum(model.live_macs < model.macs for model in MICRO_MODELS.values()) >= 20


def test_building_twice_gives_two_networks() -> None:
    for model in MICRO_MODELS.values():
        assert model.build() is not model.build(), model.name


def test_the_published_costs_among_them() -> None:
    assert round(MICRO_MODELS["simple_baseline_head"].macs / 1e6, 2) == 1422.66
    module = MICRO_MODELS["dilation_pyramid_module"]
    assert (round(module.macs / 1e6, 2), round(module.live_macs / 1e6, 2)) == (320.86, 258.62)
