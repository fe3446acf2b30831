"""The explorer's widgets without a browser: every change is one picture, a bad value one line, never a traceback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipywidgets")
import ipywidgets as widgets
import torch
from torch import nn

from analysis import explore
from analysis.explore import explore_network, explore_stack

OWN = """
from torch import nn
def net(): return nn.Sequential(nn.Conv2d(3, 4, 3, padding=8, dilation=8), nn.Conv2d(4, 2, 3, padding=1))
def classifier(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 9, 1))
def many(): return nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(30)])
def broken(): raise RuntimeError("no weights\\nin this folder")
def number(): return 3
class Picky(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)
    def forward(self, x):
        return self.conv(x) if x.sum().item() >= 0 else x
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module `explored` of one's own."""
    (tmp_path / "explored.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("explored", None)


def everything(box: widgets.Box) -> Iterator[Any]:
    for child in box.children:
        yield child
        yield from everything(child) if isinstance(child, widgets.Box | widgets.Accordion) else ()


def named(box: widgets.Box, description: str) -> Any:
    (found,) = (one for one in everything(box) if getattr(one, "description", None) == description)
    return found


def shown(box: widgets.Box) -> tuple[str, str, str]:
    """The line of complaint, the picture and the table."""
    message, picture, table = (one.value for one in everything(box) if isinstance(one, widgets.HTML))
    return message, picture, table


def pictures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every picture that is drawn."""
    drawn: list[int] = []
    draw = explore.draw
    monkeypatch.setattr(explore, "draw", lambda panels, choices: (drawn.append(len(panels)), draw(panels, choices))[1])
    return drawn


def test_a_stack_is_shown_at_once() -> None:
    message, picture, table = shown(explore_stack())
    assert message == ""
    assert picture.count("data:image/png") == 2
    assert "backward from unit (32, 24)" in picture
    assert table.count("<tr>") == 1 + 7


def test_on_a_map_of_one_column_the_neighbour_is_below() -> None:
    box = explore_stack("5", map_size="256x1")
    message, picture, _ = shown(box)
    assert message == ""
    assert "neighbour (1, 0) away" in picture
    named(box, "map size").value = "1x1"
    assert shown(box)[0] == ""


@pytest.mark.parametrize(("description", "value"), [
    ("dilations", "1,2,3"), ("order", "reversed"), ("modules", 2), ("map size", "32x24"), ("shortcuts", 0.5),
    ("show", "paths"), ("direction", "forward"), ("unit row", 3), ("unit column", 5), ("neighbour ↓", 2),
    ("neighbour →", -3),
])  # fmt: skip
def test_every_widget_of_a_stack_draws_one_new_picture(description: str, value: object, monkeypatch) -> None:
    box = explore_stack()
    _, before, _ = shown(box)
    drawn = pictures(monkeypatch)
    named(box, description).value = value
    message, picture, _ = shown(box)
    assert message == ""
    assert picture != before
    assert len(drawn) == 1


@pytest.mark.parametrize(("description", "value", "message"), [
    ("dilations", "32,x", "dilations are whole numbers"), ("dilations", "999", "from 1 to 256"),
    ("dilations", "", "dilations are whole numbers"), ("dilations", "1," * 70, "up to 64 are drawn"),
    ("map size", "big", "HEIGHTxWIDTH"), ("map size", "999x999", "from 1 to 256"),
    ("neighbour →", 0, "the unit itself"), ("neighbour →", 200, "choose another step"),
])  # fmt: skip
def test_a_bad_value_is_one_line_and_the_picture_stays(description: str, value: object, message: str) -> None:
    box = explore_stack()
    widget, (_, before, table) = named(box, description), shown(box)
    good = widget.value
    widget.value = value
    said, picture, numbers = shown(box)
    assert message in said
    assert said.count("<p ") == 1
    assert "\n" not in said
    assert (picture, numbers) == (before, table)
    widget.value = good
    assert shown(box) == ("", before, table)


def test_a_bad_start_is_one_line_too() -> None:
    box = explore_stack("none", map_size="huge")
    assert "HEIGHTxWIDTH" in shown(box)[0]
    named(box, "map size").value = "16x16"
    assert "dilations are whole numbers" in shown(box)[0]
    named(box, "dilations").value = "2,1"
    message, picture, _ = shown(box)
    assert (message, picture.count("data:image/png")) == ("", 2)
    assert "backward from unit (8, 8)" in picture


@pytest.mark.parametrize(("options", "message"), [
    ({"show": "foo"}, "show is one of support, paths, shared, not"),
    ({"modules": 0}, "at least 1 module, not 0"),
])  # fmt: skip
def test_a_bad_argument_is_one_line_that_stays_until_something_is_chosen(options: Any, message: str) -> None:
    box = explore_stack("2,1", **options)
    said, picture, _ = shown(box)
    assert message in said
    assert picture == ""
    named(box, "map size").value = "32x24"
    said, picture, _ = shown(box)
    assert said == ""
    assert "backward from unit (16, 12)" in picture


def test_dilations_are_numbers_as_well() -> None:
    message, picture, _ = shown(explore_stack([4, 2, 1]))
    assert message == ""
    assert "dilations 4, 2, 1" in picture
    assert "dilations are whole numbers" in shown(explore_stack([4, 2.5]))[0]  # type: ignore[list-item]


def test_one_dilation_and_a_size_are_numbers_as_well() -> None:
    message, picture, _ = shown(explore_stack(8, map_size=(32, 24)))
    assert message == ""
    assert "dilations 8, 32x24" in picture
    assert "such as 64x48, not &#x27;32&#x27;" in shown(explore_stack(8, map_size=32))[0]  # type: ignore[arg-type]


def test_the_centre_stays_the_centre_of_another_map() -> None:
    box = explore_stack(map_size="64x48", modules=2, shortcuts=0.3, show="paths")
    row, column = named(box, "unit row"), named(box, "unit column")
    assert (row.value, row.max, column.value, column.max) == (32, 63, 24, 47)
    named(box, "map size").value = "32x24"
    assert (row.value, row.max, column.value, column.max) == (16, 31, 12, 23)
    row.value = 31
    named(box, "map size").value = "8x8"
    assert (row.value, row.max, column.value) == (7, 7, 4)
    assert "shortcuts v = 0.3" in shown(box)[1]


def test_a_network_of_the_zoo() -> None:
    box = explore_network("dpn1_32")
    message, picture, table = shown(box)
    assert message == ""
    assert "dpn1_32 at 256x192, map output, backward from unit (32, 24)" in picture
    assert "64x48" in table
    named(box, "unit map").value = "dpm"
    assert named(box, "unit row").max == 31
    assert "map dpm, backward from unit (16, 12)" in shown(box)[1]


@pytest.mark.usefixtures("own")
def test_a_network_of_one_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    box = explore_network("explored:net", "20x15")
    assert shown(box)[0] == ""
    assert named(box, "maps shown").value == ("input", "0", "output")
    drawn = pictures(monkeypatch)
    for description, value in (("show", "support"), ("unit row", 4), ("neighbour ↓", 1), ("direction", "forward"),
                               ("maps shown", ("input", "0")), ("input", "24x24"), ("unit map", "0"),
                               ("network", "explored:many")):  # fmt: skip
        drawn.clear()
        named(box, description).value = value
        assert (shown(box)[0], len(drawn)) == ("", 1), description


@pytest.mark.usefixtures("own")
def test_a_unit_from_which_nothing_would_be_seen_goes_to_the_other_end() -> None:
    box = explore_network("explored:net", "20x15")
    named(box, "direction").value = "forward"
    assert named(box, "unit map").value == "input"
    named(box, "unit map").value = "0"
    named(box, "direction").value = "backward"
    assert named(box, "unit map").value == "0"
    assert named(box, "maps shown").value == ("input", "0")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(("name", "message"), [
    ("dpn4_46", "no network named 'dpn4_46'; the nearest names are"), ("explored:nothing", "has no 'nothing'"),
    ("nowhere:net", "cannot import 'nowhere'"), ("explored:broken", "RuntimeError: no weights"),
    ("explored:number", "must return a torch.nn.Module"), ("", "no network named"),
    ("explored:", "package.module:factory"),
])  # fmt: skip
def test_a_bad_network_is_one_line_and_the_picture_stays(name: str, message: str) -> None:
    box = explore_network("explored:net", "20x15")
    _, before, table = shown(box)
    named(box, "network").value = name
    said, picture, numbers = shown(box)
    assert message in said.replace("&#x27;", "'")
    assert "\n" not in said
    assert (picture, numbers) == (before, table)
    named(box, "unit row").value = 2
    assert "explored:net at 20x15" in shown(box)[1], "the picture says whose it still is"


class Reader(nn.Module):
    """Needs an argument, and the values of its input."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=dilation, dilation=dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) if x.isfinite().all().item() else x


@pytest.mark.parametrize("net", [nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), Reader(2)])
def test_a_network_itself_is_explored_and_stays_as_it_is(net: nn.Module) -> None:
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    box = explore_network(net, (20, 15))
    message, picture, _ = shown(box)
    assert message == ""
    assert f"{type(net).__name__} at 20x15, map output" in picture
    named(box, "input").value = "24x24"
    assert f"{type(net).__name__} at 24x24" in shown(box)[1]
    assert net.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.usefixtures("own")
def test_what_builds_a_network_is_explored_and_others_beside_it() -> None:
    def layer() -> nn.Module:
        return nn.Conv2d(3, 4, 3, dilation=2)

    box = explore_network(layer, "20x15")
    for name in ("explored:net", "layer"):
        assert f"{named(box, 'network').value} at 20x15" in shown(box)[1]
        named(box, "network").value = name
        assert shown(box)[0] == ""
    assert "layer at 20x15" in shown(box)[1]


@pytest.mark.parametrize(("network", "message"), [
    (3, "network is a name, a torch.nn.Module or a function that builds one, not 3"),
    (lambda: 3, "give a module"), (lambda width: width, "missing 1 required positional argument"),
])  # fmt: skip
def test_what_is_no_network_is_one_line(network: Any, message: str) -> None:
    said, picture, _ = shown(explore_network(network))
    assert message in said
    assert picture == ""


@pytest.mark.usefixtures("own")
def test_what_else_can_go_wrong_with_a_network_is_one_line() -> None:
    box = explore_network("explored:many", "20x15")
    _, before, _ = shown(box)
    for description, value, message in (
        ("maps shown", tuple(str(i) for i in range(29)), "29 maps are picked; pick 1 to 24"),
        ("maps shown", (), "0 maps are picked"), ("unit map", "17x", "the nearest are 17"),
        ("input", "20", "HEIGHTxWIDTH"),
    ):  # fmt: skip
        named(box, description).value = value
        assert message in shown(box)[0]
        assert shown(box)[1] == before


@pytest.mark.usefixtures("own")
def test_networks_that_need_more() -> None:
    """One whose output has a single position, so no neighbour, and one that looks at the values of its input."""
    message, picture, table = shown(explore_network("explored:classifier", "20x15"))
    assert (message, picture.count("data:image/png")) == ("", 2)
    assert "1x1" in table
    message, picture, _ = shown(explore_network("explored:Picky", "20x15"))
    assert (message, picture.count("data:image/png")) == ("", 2)


def test_a_stack_is_explored_without_torch() -> None:
    code = "import sys; from analysis.explore import explore_stack; explore_stack(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
