"""The explorer's pictures, read back pixel by pixel: nothing is lost, nothing but zeros is grey."""

import io

import numpy as np
import pytest
from PIL import Image

from analysis.explorer.explore_choices import StackChoices
from analysis.explorer.explore_fields import Panel, stack_panels
from analysis.explorer.explore_html import line_html, picture_html, table_html
from analysis.explorer.explore_palette import BOTH, INK, NEIGHBOUR, PAGE, SCALE, SCALE_STEPS, UNIT, ZERO, palette
from analysis.explorer.explore_picture import MOST_HEIGHT_PX, WIDTH_PX, draw, lay_out, magnified, scale_decades
from analysis.plots.style import DARK, LIGHT, Theme
from tests.analysis.test_figures import DEFICIENCIES, lab

CHOICES = StackChoices(dilations=(4, 1), map_hw=(20, 15), unit=(8, 7))


def indices(file: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(file))
    assert image.mode == "P"
    return np.asarray(image)


def chosen(**changes: object) -> StackChoices:
    return StackChoices(**{**vars(CHOICES), **changes})


def on_picture(picture: np.ndarray, panels: tuple[Panel, ...], number: int) -> np.ndarray:
    """The part of a picture that a panel's map takes."""
    layout = lay_out(panels)
    (top, left), (height, width) = layout.place(number), layout.cell_hw
    return picture[top : top + height, left : left + width]


@pytest.mark.parametrize("show", ["support", "paths", "shared"])
@pytest.mark.parametrize("map_hw", [(20, 15), (256, 256)])
def test_every_position_of_every_map_is_drawn_as_it_is(show, map_hw: tuple[int, int]) -> None:
    choices = chosen(show=show, map_hw=map_hw)
    panels = stack_panels(choices)
    picture = indices(draw(panels, choices).light)
    for number, panel in enumerate(panels):
        drawn = on_picture(picture, panels, number)
        scale = drawn.shape[0] // map_hw[0]
        assert drawn.shape == (map_hw[0] * scale, map_hw[1] * scale)
        unit, neighbour = panel.support
        if panel.own:  # the ring around the unit may cover its neighbour's edges
            continue
        upper, lower = drawn[::scale, ::scale], drawn[scale - 1 :: scale, scale - 1 :: scale]
        if show == "shared" and scale > 1:
            assert np.array_equal(upper, np.where(unit & neighbour, BOTH, np.where(unit, UNIT, ZERO)))
            assert np.array_equal(lower, np.where(unit & neighbour, BOTH, np.where(neighbour, NEIGHBOUR, ZERO)))
        elif show == "shared":
            assert np.array_equal(upper == ZERO, ~(unit | neighbour))
        else:
            assert np.array_equal(drawn, upper.repeat(scale, axis=0).repeat(scale, axis=1))
            assert np.array_equal(upper == ZERO, ~unit)


def test_the_scale_is_logarithmic_and_ends_at_the_largest() -> None:
    share = np.array([[[0, 1e-3, 1e-2], [1e-1, 1, 1e-3]]])
    panel = Panel(title="made up", hw=(2, 3), support=share > 0, share=share)
    drawn = magnified(panel, "paths", scale_decades([panel]), (2, 3))
    assert scale_decades([panel]) == 3
    third = (SCALE_STEPS - 1) / 3
    assert drawn.tolist() == [
        [ZERO, SCALE, SCALE + round(third)],
        [SCALE + round(2 * third), SCALE + SCALE_STEPS - 1, SCALE],
    ]


def test_what_is_below_the_scale_is_not_a_zero() -> None:
    share = np.array([[[1, 1e-200, 0]]])
    panel = Panel(title="made up", hw=(1, 3), support=share > 0, share=share)
    drawn = magnified(panel, "paths", scale_decades([panel]), (1, 3))
    assert drawn.tolist() == [[SCALE + SCALE_STEPS - 1, SCALE, ZERO]]


def test_marks_hide_no_position_of_another_map() -> None:
    panels = stack_panels(CHOICES)
    bare = tuple(Panel(**{**vars(panel), "mark": None}) for panel in panels)
    with_marks, without = (indices(draw(some, CHOICES).light) for some in (panels, bare))
    assert not np.array_equal(with_marks, without)
    for number in (0, 1):
        assert np.array_equal(on_picture(with_marks, panels, number), on_picture(without, panels, number))
    top, left = lay_out(panels).place(0)
    scale = lay_out(panels).cell_hw[0] // 20
    wedges = np.argwhere((with_marks != without)[: top + 20 * scale, : left + 15 * scale])
    rows, columns = wedges[wedges[:, 0] >= top, 0], wedges[wedges[:, 1] >= left, 1]
    assert rows.mean() == pytest.approx(top + 8 * scale + scale // 2)
    assert columns.mean() == pytest.approx(left + 7 * scale + scale // 2)


def test_the_unit_itself_stays_visible_in_its_ring() -> None:
    panels = stack_panels(CHOICES)
    drawn = on_picture(indices(draw(panels, chosen(show="support")).light), panels, 2)
    scale = drawn.shape[0] // 20
    inside = drawn[8 * scale : 9 * scale, 7 * scale : 8 * scale]
    assert (inside == UNIT).all()
    around = drawn[8 * scale - 1 : 9 * scale + 1, 7 * scale - 1 : 8 * scale + 1]
    assert set(np.unique(np.concatenate([around[0], around[-1], around[:, 0], around[:, -1]]))) == {INK + 31}


def test_a_map_that_cannot_be_told_has_no_colour_of_those_that_can() -> None:
    known = stack_panels(CHOICES)[0]
    unknown = Panel(title="behind it", hw=(20, 15), support=None, share=None, mark=(8, 7), problem="no rule")
    drawn = on_picture(indices(draw((known, unknown), CHOICES).light), (known, unknown), 1)
    assert set(np.unique(drawn)) <= {PAGE, *range(INK, INK + 32)}
    assert len(np.unique(drawn)) > 1


def test_light_and_dark_are_one_picture_with_two_palettes() -> None:
    picture = draw(stack_panels(CHOICES), CHOICES)
    assert np.array_equal(indices(picture.light), indices(picture.dark))
    corners = [Image.open(io.BytesIO(file)).convert("RGB").getpixel((0, 0)) for file in (picture.light, picture.dark)]
    assert corners == [(0xFF, 0xFF, 0xFF), (0x15, 0x18, 0x1C)]
    assert picture.size_hw == indices(picture.light).shape


def colours(theme: Theme, matrix: list[list[float]]) -> np.ndarray:
    """(256, 3) a palette in CIELAB, as an eye with that deficiency sees it."""
    rgb = palette(theme) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.array([lab(np.array(matrix) @ one) for one in linear])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_zeros_and_units_stand_apart_for_every_eye(theme: Theme, deficiency: str) -> None:
    seen = colours(theme, DEFICIENCIES[deficiency])
    scale = seen[SCALE : SCALE + SCALE_STEPS]
    assert np.linalg.norm(scale - seen[ZERO], axis=1).min() > 15
    assert np.linalg.norm(seen[ZERO] - seen[PAGE]) > 10
    assert (np.diff(scale[:, 0]) > -0.5).all(), "lightness never falls along the scale"
    if theme is DARK:
        assert scale[:, 0].min() > seen[ZERO, 0] + 5 > seen[PAGE, 0] + 10, "the darker, the less"
    for one in (UNIT, NEIGHBOUR, BOTH):
        for other in {PAGE, ZERO, UNIT, NEIGHBOUR, BOTH} - {one}:
            assert np.linalg.norm(seen[one] - seen[other]) > 10, (one, other)


@pytest.mark.parametrize("number", [1, 2, 7, 13, 25, 49, 65])
@pytest.mark.parametrize("map_hw", [(8, 8), (32, 24), (64, 48), (48, 64), (256, 192), (1, 256)])
def test_panels_stand_apart_within_the_picture(number: int, map_hw: tuple[int, int]) -> None:
    panel = Panel(title="made up", hw=map_hw, support=None, share=None)
    layout = lay_out([panel] * number)
    height, width = layout.size(number)
    taken = np.zeros((height, width), dtype=int)
    for each in range(number):
        top, left = layout.place(each)
        taken[top : top + layout.cell_hw[0], left : left + layout.cell_hw[1]] += 1
    assert taken.max() == 1
    assert taken.sum() == number * layout.cell_hw[0] * layout.cell_hw[1]
    assert layout.cell_hw[0] % map_hw[0] == 0
    if map_hw in ((32, 24), (64, 48)) and number <= 25:
        assert width == WIDTH_PX
        assert height <= MOST_HEIGHT_PX


def test_long_names_keep_their_ends() -> None:
    """Two names that differ at their ends only give different pictures, and neither runs into the next panel."""
    panels = [
        Panel(**{**vars(stack_panels(CHOICES)[0]), "title": "stage." * 40 + end, "mark": None})
        for end in ("conv1", "conv2")
    ]
    first, second = (indices(draw([panel] * 2, CHOICES).light) for panel in panels)
    assert not np.array_equal(first, second)
    layout = lay_out([panels[0]] * 2)
    (top, left), (_, following) = layout.place(0), layout.place(1)
    caption = first[top + layout.cell_hw[0] :, left : following - 1]
    assert (caption != PAGE).any()
    assert (first[top + layout.cell_hw[0] :, following - 6 : following - 1] == PAGE).all()


def test_the_words_say_what_the_picture_does() -> None:
    choices = chosen(direction="forward")
    alt = draw(stack_panels(choices), choices).alt
    assert alt.startswith(
        "dilations 4, 1, 20x15, no shortcuts, forward from unit (8, 7), neighbour (0, 1) away: 3 maps"
    )
    assert "map 2, d = 1: coverage" in alt


def test_what_is_foreign_is_escaped() -> None:
    assert line_html("<b>&") == '<p role="alert" style="color: var(--jp-error-color1, #b3261e)">&lt;b&gt;&amp;</p>'
    assert line_html("") == ""
    panels = (Panel(title='"><script>', hw=(2, 2), support=None, share=None),)
    picture = picture_html(draw(panels, CHOICES))
    assert "<script>" not in picture
    assert picture.count("data:image/png;base64,") == 2
    assert table_html([]).count("<tr>") == 1
