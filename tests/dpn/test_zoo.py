"""The zoo: identities, lookups, input sizes, and the published costs of every DPN."""

import dataclasses
import json
import re
import subprocess
import sys
from collections import defaultdict
from fractions import Fraction
from functools import cache

import pytest
import torch
from torch import Tensor

from bench.counts.conventions import round_printed
from bench.counts.macs import Count, count
from dpn.build import build
from dpn.spec import DPNSpec, ModelSpec, replace
from dpn.zoo import ZOO, lookup

DPNS = {name: spec for name, spec in ZOO.items() if isinstance(spec, DPNSpec)}


# Identity


def test_names_are_keys_and_definitions_differ() -> None:
    assert all(name == spec.name for name, spec in ZOO.items())
    by_digest = defaultdict(list)
    for name, spec in ZOO.items():
        by_digest[spec.digest()].append(name)
    assert [names for names in by_digest.values() if len(names) > 1] == []


@pytest.mark.parametrize("spec", ZOO.values(), ids=ZOO)
def test_digest_ignores_name_and_row_alone(spec: ModelSpec) -> None:
    assert replace(spec, name="another", paper="another row").digest() == spec.digest()
    assert len(spec.digest()) == 12
    for other in (replace(spec, joints=spec.joints + 1), replace(spec, input_hw=(8 * 97, 8 * 89))):
        assert other.digest() != spec.digest()


OTHER_VALUES = {
    "input_hw": (384, 288),
    "joints": 21,
    "modules": 9,
    "width": 48,
    "dilations": (32, 16, 8, 4, 1, 2),
    "conv2_blocks": 3,
    "conv2_stride": 1,
    "reading": "printed",
}


def test_digest_changes_with_every_field_of_a_dpn() -> None:
    base = ZOO["dpn4_64"]
    fields = {field.name for field in dataclasses.fields(base)} - {"name", "paper"}
    assert fields == set(OTHER_VALUES), "a new field needs a value here"
    changed = {replace(base, **{field: value}).digest() for field, value in OTHER_VALUES.items()}
    assert len(changed | {base.digest()}) == len(fields) + 1


def test_two_families_never_share_a_digest() -> None:
    class Other(DPNSpec):
        family = "other"

    same_fields = Other(**{f.name: getattr(ZOO["dpn1_32"], f.name) for f in dataclasses.fields(ZOO["dpn1_32"])})
    assert same_fields.digest() != ZOO["dpn1_32"].digest()


def test_digests_are_the_same_in_another_process() -> None:
    code = "import json; from dpn.zoo import ZOO; print(json.dumps({n: s.digest() for n, s in ZOO.items()}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == {name: spec.digest() for name, spec in ZOO.items()}


def test_specs_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ZOO["dpn4_64"].joints = 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modules": 0}, "modules is an integer from 1 on, not 0"),
        ({"width": 48.5}, "width is an integer from 1 on, not 48.5"),
        ({"joints": True}, "joints is an integer from 1 on, not True"),
        ({"conv2_blocks": -1}, "conv2_blocks is an integer from 0 on, not -1"),
        ({"conv2_stride": 4}, "conv2_stride is 1 or 2, not 4"),
        ({"conv2_stride": 2.0}, "conv2_stride is 1 or 2, not 2.0"),
        ({"reading": "cost"}, "reading is 'costed' or 'printed', not 'cost'"),
        ({"dilations": ()}, "dilations is a tuple of one or more integers from 1 on, not ()"),
        ({"dilations": (4, 0)}, "dilations is a tuple of one or more integers from 1 on, not (4, 0)"),
        ({"dilations": (8.0, 4)}, "dilations is a tuple of one or more integers from 1 on, not (8.0, 4)"),
        ({"dilations": "8,4"}, "dilations is a tuple of one or more integers from 1 on, not '8,4'"),
        ({"input_hw": (256, 192, 3)}, "input_hw is a tuple of 2 integers from 1 on, not (256, 192, 3)"),
        ({"name": 7}, "name is of type str, not 7"),
    ],
)
def test_impossible_specs_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{changes.get('name', 'dpn4_64')}: {message}") + "$"):
        replace(ZOO["dpn4_64"], **changes)


def test_specs_of_other_families_are_refused_too() -> None:
    with pytest.raises(ValueError, match="sbl_r50: depth is 50 or 101 or 152, not 34"):
        replace(ZOO["sbl_r50"], depth=34)
    with pytest.raises(ValueError, match="dpn2_hrnet: backbone is of type HRNetSpec, not 'hrnet_w32'"):
        replace(ZOO["dpn2_hrnet"], backbone="hrnet_w32")


# Lookup and input sizes


@pytest.mark.parametrize("name", ZOO)
def test_lookup_finds_every_network(name: str) -> None:
    assert lookup(name) is lookup(name.upper()) is ZOO[name]


@pytest.mark.parametrize(
    ("wrong", "meant"), [("dpn4-64", "dpn4_64"), ("DPN1-32", "dpn1_32"), ("dpn4_64_hires", "dpn4_64_highres")]
)
def test_a_wrong_name_is_answered_with_near_ones(wrong: str, meant: str) -> None:
    with pytest.raises(KeyError) as caught:
        lookup(wrong)
    message = str(caught.value)
    assert repr(wrong)[1:-1] in message
    assert meant in message
    assert "python -m bench list" in message


def test_a_name_like_no_other_still_gets_names() -> None:
    with pytest.raises(KeyError) as caught:
        lookup("qqqqqq")
    assert any(f" {name}," in str(caught.value) for name in ZOO)


@pytest.mark.parametrize(
    ("size", "example"), [((250, 190), "248x192"), ((256, 190), "256x192"), ((3, 3), "8x8"), ((0, 192), "8x192")]
)
def test_an_input_of_the_wrong_size_is_answered_with_one_that_fits(size: tuple[int, int], example: str) -> None:
    spec = ZOO["dpn4_64"]
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*multiples of 8, for example {example}"):
        spec.check_input(*size)
    spec.check_input(*map(int, example.split("x")))


@pytest.mark.parametrize("spec", ZOO.values(), ids=ZOO)
def test_every_network_takes_its_own_input(spec: ModelSpec) -> None:
    spec.check_input(*spec.input_hw)


# Costs and shapes


@cache
def counted(name: str) -> Count:
    """The count of a network of the zoo for one image, made once."""
    with torch.device("meta"):
        net = build(ZOO[name])
    return count(net, (1, 3, *ZOO[name].input_hw))


PUBLISHED_GI = {
    "dpn4_32": "1.1",
    **{f"dpn{n}_64": gi for n, gi in enumerate(("2.1", "2.4", "2.7", "3.0"), 1)},
    **{f"dpn{n}_64_highres": gi for n, gi in enumerate(("6.0", "7.2", "8.4", "9.6"), 1)},
    "dpn4_32_mpii": "1.4",
    "dpn4_64_mpii": "4.0",
}
"""The paper's "GFLOPs" of Tables I, II, IV and VII."""

COSTED_GI = {
    "dpn4_32": "1.057",
    **{f"dpn{n}_64": gi for n, gi in enumerate(("2.106", "2.405", "2.704", "3.003"), 1)},
    **{f"dpn{n}_64_highres": gi for n, gi in enumerate(("5.993", "7.189", "8.384", "9.579"), 1)},
    "dpn4_32_mpii": "1.409",
    "dpn4_64_mpii": "4.003",
}
PRINTED_GI = {
    "dpn4_32_printed": "1.046",
    **{f"dpn{n}_64_printed": gi for n, gi in enumerate(("2.060", "2.358", "2.657", "2.956"), 1)},
    **{f"dpn{n}_64_highres_printed": gi for n, gi in enumerate(("5.77", "6.96", "8.16", "9.35"), 1)},
    "dpn4_32_mpii_printed": "1.394",
    "dpn4_64_mpii_printed": "3.94",
}
MPARAMS = {"dpn4_32": "0.704", "dpn4_64": "3.337", "dpn4_32_printed": "0.688", "dpn4_64_printed": "3.270"}


def rounded(value: int, unit: int, like: str) -> str:
    """A value in a unit, with as many decimals as another."""
    return round_printed(Fraction(value, unit), len(like.partition(".")[2]))


@pytest.mark.parametrize(("name", "gi"), [*COSTED_GI.items(), *PRINTED_GI.items()])
def test_costs_of_both_readings(name: str, gi: str) -> None:
    assert rounded(counted(name).macs, 2**30, gi) == gi


@pytest.mark.parametrize(("name", "mparams"), MPARAMS.items())
def test_parameters_of_both_readings(name: str, mparams: str) -> None:
    assert rounded(counted(name).params, 10**6, mparams) == mparams


def test_the_costed_reading_prints_every_published_cost_and_the_other_does_not() -> None:
    costed = {name: rounded(counted(name).macs, 2**30, gi) for name, gi in PUBLISHED_GI.items()}
    assert costed == PUBLISHED_GI
    missed = {name for name, gi in PUBLISHED_GI.items() if rounded(counted(f"{name}_printed").macs, 2**30, gi) != gi}
    assert missed == {"dpn4_32", "dpn4_64_mpii", *(f"dpn{n}_64_highres" for n in (1, 2, 3, 4))}


def test_readings_differ_by_one_convolution() -> None:
    costed, printed = counted("dpn4_64"), counted("dpn4_64_printed")
    assert costed.macs - printed.macs == 32 * 24 * 256 * 256
    assert costed.params - printed.params == 256 * 256 + 2 * 256


@pytest.mark.parametrize("name", DPNS)
def test_every_dpn_is_counted_completely_and_gives_its_heatmaps(name: str) -> None:
    spec = DPNS[name]
    result = counted(name)
    assert result.complete
    costed_highres = spec.conv2_stride == 1 and spec.reading == "costed"
    divisor = 2 if costed_highres else 4
    assert result.maps[""] == (1, spec.joints, spec.input_hw[0] // divisor, spec.input_hw[1] // divisor)
    assert result.maps["dpm"][2:] == spec.module_hw


def test_schedules_share_parameters_and_nominal_costs() -> None:
    groups = defaultdict(set)
    schedules = defaultdict(set)
    for name, spec in DPNS.items():
        key = replace(spec, name="", paper="", dilations=(1,))
        groups[key].add((counted(name).params, counted(name).macs))
        schedules[key].add(spec.dilations)
    assert all(len(found) == 1 for found in groups.values())
    assert max(map(len, schedules.values())) == 7  # pyramid, reversed, and D = 1, 2, 4, 6, 8


def test_resolution_changes_no_parameter() -> None:
    for n in (1, 2, 3, 4):
        assert counted(f"dpn{n}_64").params == counted(f"dpn{n}_64_highres").params


def test_live_costs_order_the_schedules() -> None:
    wide = counted("dpn4_64")
    assert wide.live_macs < counted("dpn4_64_normal").live_macs < wide.macs


def meta_output(name: str, height: int, width: int) -> Tensor:
    with torch.device("meta"):
        return build(ZOO[name]).eval()(torch.empty(1, 3, height, width))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (8, 8), (104, 40)])
def test_other_inputs_give_other_heatmaps(height: int, width: int) -> None:
    assert meta_output("dpn1_32", height, width).shape == (1, 17, height // 4, width // 4)
