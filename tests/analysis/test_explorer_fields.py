"""The explorer's own arithmetic, in a browser, against the exact engine and the known numbers."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.outlets.explorer_page import write_explorer
from analysis.receptive_fields.stacks import stack
from tests.analysis.chromium import Page, browser_page

DPM, REV = (32, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 32)
# Dilations, height and width of the maps, and a unit: map, row, column. The last two were drawn at random, once.
UNITS = [
    (DPM, (64, 48), (6, 32, 24)), (REV, (32, 24), (6, 3, 23)), ((2,) * 6, (20, 15), (4, 19, 0)),
    (DPM, (20, 15), (2, 7, 7)), ((7, 3, 12, 1, 5), (23, 17), (5, 11, 2)), ((9, 30, 4), (13, 29), (1, 12, 28)),
]  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page, whose functions are called; nothing is pressed."""
    with browser_page() as page:
        page.open(write_explorer(tmp_path_factory.mktemp("report")))
        yield page


def call(page: Page, name: str, *arguments: Any) -> Any:
    """What a function of `fields` returns; maps of numbers come as lists."""
    plain = "(key, value) => value instanceof Float64Array ? Array.from(value) : value"
    return json.loads(page.evaluate(f"JSON.stringify(fields.{name}(...{json.dumps(arguments)}), {plain})"))


def engine(
    dilations: Sequence[int], map_hw: tuple[int, int], unit: tuple[int, int, int], way: str, shortcuts: bool
) -> dict[int, NDArray[Any]]:
    """Path counts of one unit by the exact engine, by map."""
    graph = stack(dilations, map_hw, shortcuts=shortcuts)
    follow = graph.backward if way == "in" else graph.forward
    return {k: one.values[0] for k, one in follow(unit[0], [unit[1:]], kind="paths").items()}


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize("strength", [0, 1.5])
@pytest.mark.parametrize(("dilations", "map_hw", "unit"), UNITS)
def test_bounded_paths_are_the_engines(
    page: Page, dilations: Sequence[int], map_hw: tuple[int, int], unit: tuple[int, int, int], way: str, strength: float
) -> None:
    expected = engine(dilations, map_hw, unit, way, strength > 0)
    k, y, x = unit
    options = {"h": map_hw[0], "w": map_hw[1], "start": k, "y": y, "x": x, "way": way, "strength": strength}
    maps = call(page, "plane", dilations, options)
    assert {i for i, values in enumerate(maps) if values} == set(expected)
    for i, values in expected.items():
        np.testing.assert_array_equal(np.array(maps[i], dtype=np.int64).reshape(map_hw), values)


@pytest.mark.parametrize("way", ["in", "out"])
@pytest.mark.parametrize("strength", [0, 1.5])
@pytest.mark.parametrize(("dilations", "map_hw", "unit"), UNITS)
def test_one_row_is_the_engines(
    page: Page, dilations: Sequence[int], map_hw: tuple[int, int], unit: tuple[int, int, int], way: str, strength: float
) -> None:
    """A map of one row has one axis; one that is wide enough has no ends."""
    k, _, x = unit
    reach = sum(dilations)
    for size, width, at in ((map_hw[1], map_hw[1], x), (0, 2 * reach + 1, reach)):
        expected = engine(dilations, (1, width), (k, 0, at), way, strength > 0)
        line = call(page, "line", dilations, {"size": size, "start": k, "at": at, "way": way, "strength": strength})
        assert line["first"] == 0
        assert {i for i, values in enumerate(line["maps"]) if values} == set(expected)
        for i, values in expected.items():
            np.testing.assert_array_equal(line["maps"][i], values[0])


@pytest.mark.parametrize("dilations", [DPM, REV, (2,) * 6, (7, 3, 12, 1, 5)])
def test_unbounded_rows_and_columns_make_the_engines_map(page: Page, dilations: Sequence[int]) -> None:
    layers = len(dilations)
    line = call(page, "line", dilations, {"start": layers, "at": 5})
    for k, field in stack(dilations).backward(layers, [(5, 5)], kind="paths", bounded=False).items():
        values = np.array(line["maps"][k], dtype=np.int64)
        places = np.flatnonzero(values)
        assert line["first"] + places[0] == field.origin[1]
        inside = values[places[0] : places[-1] + 1]
        np.testing.assert_array_equal(np.outer(inside, inside), field.values[0])
        found = call(page, "extent", line["maps"][k])
        assert found["span"] == field.extent_hw[1]
        assert found["count"] ** 2 == np.count_nonzero(field.values)


def test_one_pyramid_has_the_known_path_counts(page: Page) -> None:
    counts = call(page, "line", DPM, {"start": 6})["maps"][0]
    assert counts[63:84] == [1, 6, 5, 9, 4, 11, 7, 10, 3, 11, 8, 13, 5, 12, 7, 9, 2, 9, 7, 12, 5]
    assert sum(counts) == 729
    assert [i - 63 for i, count in enumerate(counts) if count == max(counts)] == [-21, -11, 11, 21]


@pytest.mark.parametrize(
    ("dilations", "fields", "supports", "square", "bits"),
    [
        (DPM, (127, 253, 379, 505), (127, 253, 379, 505), 1, (6.735, 7.441, 7.749, 7.960)),
        (REV, (127, 253, 379, 505), (127, 253, 379, 505), 1, (6.735, 7.441, 7.749, 7.960)),
        ((1,) * 6, (13, 25, 37, 49), (13, 25, 37, 49), 1, (3.044, 3.547, 3.839, 4.047)),
        ((2,) * 6, (25, 49, 73, 97), (13, 25, 37, 49), 0.2704, (3.044, 3.547, 3.839, 4.047)),
        ((4,) * 6, (49, 97, 145, 193), (13, 25, 37, 49), 0.0704, (3.044, 3.547, 3.839, 4.047)),
        ((8,) * 6, (97, 193, 289, 385), (13, 25, 37, 49), 0.0180, (3.044, 3.547, 3.839, 4.047)),
    ],
)
def test_unbounded_stacks(
    page: Page, dilations: Sequence[int], fields: tuple[int, ...], supports: tuple[int, ...], square: float,
    bits: tuple[float, ...],
) -> None:  # fmt: skip
    for modules in (1, 2, 3, 4):
        for way in ("in", "out"):
            found = call(page, "stack", dilations * modules, {"h": 64, "w": 48, "way": way})
            assert (found["field"], found["support"]) == (fields[modules - 1], supports[modules - 1])
            assert round(found["bits"], 3) == bits[modules - 1]
            if modules == 1:
                assert round((found["support"] / found["field"]) ** 2, 4) == square
                assert found["gap"] == (dilations[0] - 1 if len(set(dilations)) == 1 else 0)


@pytest.mark.parametrize(
    ("map_hw", "shares", "module", "effective"),
    [
        ((32, 24), (0.1111, 0.3704, 0.6481, 0.8148, 0.9051, 0.9520), 0.6336, (0.801, 0.717)),
        ((64, 48), (0.3704, 0.6481, 0.8148, 0.9051, 0.9520, 0.9758), 0.7777, (0.777, 0.696)),
    ],
)
def test_padding(
    page: Page, map_hw: tuple[int, int], shares: Sequence[float], module: float, effective: tuple[float, float]
) -> None:
    h, w = map_hw
    assert [round(call(page, "live", d, h, w)["share"], 4) for d in DPM] == list(shares)
    found = call(page, "stack", DPM, {"h": h, "w": w})
    assert found["nominal"] == 6 * 9 * h * w
    assert round(found["live"] / found["nominal"], 4) == module
    assert round(call(page, "meanEffective", DPM, h, w, "in"), 3) == effective[0]
    assert round(call(page, "meanEffective", REV, h, w, "in"), 3) == effective[1]
    assert round(call(page, "meanEffective", REV, h, w, "out"), 3) == effective[0], "the mirror image"


@pytest.mark.parametrize(
    ("d", "map_hw", "shape"),
    [(32, (32, 24), "1×1"), (24, (32, 24), "3×1"), (24, (24, 32), "1×3"), (23, (24, 24), "3×3")],
)
def test_live_taps_are_those_that_the_engine_follows(page: Page, d: int, map_hw: tuple[int, int], shape: str) -> None:
    h, w = map_hw
    reads = stack((d,), map_hw).backward(1, [(y, x) for y in range(h) for x in range(w)])[0].support
    found = call(page, "live", d, h, w)
    assert (found["taps"], found["shape"]) == (reads.sum(), shape)


def test_shortcuts_change_how_much(page: Page) -> None:
    """Facts 4: the centre's share for branch/identity variance ratios 1, 1/2 and 1/10, and without a shortcut."""
    for strength, centre, digits in ((0, 0.0014, 4), (1, 0.088, 3), (2, 0.221, 3), (10, 0.687, 3)):
        line = call(page, "line", DPM, {"start": 6, "kind": "share", "strength": strength})["maps"][0]
        assert round(line[63], digits) == centre
        assert sum(line) == pytest.approx(1, abs=1e-12)
        assert np.count_nonzero(line) == 127, "but not which"


def test_what_separates_a_pyramid_from_its_reverse(page: Page) -> None:
    dpm, rev = (call(page, "stack", dilations, {"h": 64, "w": 48}) for dilations in (DPM, REV))
    assert dpm["coverage"] == [1] * 6
    assert [round(share, 3) for share in rev["coverage"]] == [1, 0.504, 0.256, 0.133, 0.072, 0.046]
    assert [round(share, 3) for share in dpm["overlap"]] == [0.984, 0.968, 0.933, 0.857, 0.667]
    assert rev["overlap"] == [0] * 5
    assert (dpm["groups"], rev["groups"]) == ([1] * 6, [1, 4, 16, 64, 256, 1024])
    assert (round(dpm["meanOverlap"], 3), rev["meanOverlap"]) == (0.882, 0)
    assert (dpm["meanCoverage"], round(rev["meanCoverage"], 3)) == (1, 0.335)
    for dilations, overlap, coverage in (((1,) * 6, 0.824, 1), ((8,) * 6, 0, 0.147)):
        found = call(page, "stack", dilations, {"h": 64, "w": 48})
        assert (round(found["meanOverlap"], 3), round(found["meanCoverage"], 3)) == (overlap, coverage)
    mirrored = call(page, "stack", REV, {"h": 64, "w": 48, "way": "out"})
    assert sorted(mirrored["coverage"]) == sorted(dpm["coverage"])
    assert sorted(mirrored["overlap"]) == sorted(dpm["overlap"])


@pytest.mark.parametrize(("dilations", "size"), [((32,), 24), ((32, 16), 48), ((5, 7), 8), ((6, 4), 30), (DPM, 24)])
def test_groups_are_those_of_the_engines_supports(page: Page, dilations: Sequence[int], size: int) -> None:
    """Units that share a position, directly or through others, are one group."""
    graph = stack(dilations, (1, size))
    reads = graph.backward("output", [(0, x) for x in range(size)], to=[0])[0].support[:, 0]
    joined = (reads.astype(int) @ reads.T.astype(int)) > 0
    reached = np.linalg.matrix_power(joined.astype(float), size) > 0
    assert call(page, "groups", dilations, size) == len({tuple(row) for row in reached})


def test_the_page_knows_where_doubles_end(page: Page) -> None:
    """Four modules have more paths than 2^53, three have not along a row; the engine counts both with integers."""
    for modules, options in ((1, {}), (4, {}), (4, {"strength": 1})):
        unit = {"h": 64, "w": 48, "start": 6 * modules, "y": 32, "x": 24}
        graph = stack(DPM, (64, 48), modules=modules, shortcuts=bool(options))
        most = max(int(one.values.max()) for one in graph.backward("output", [(32, 24)], kind="paths").values())
        told = page.evaluate(f"fields.exact(fields.plane({list(DPM * modules)}, {json.dumps(unit | options)}))")
        assert told is (most < 2**53)
