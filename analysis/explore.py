"""Widgets for exploring receptive fields by hand in JupyterLab: of a stack of dilated convolutions, or of any network.

Here are only the widgets. What they show is computed by `analysis.explorer.explore_fields` and drawn by
`analysis.explorer.explore_picture`, which work without them. A value that makes no sense is answered by one line and
leaves the last good picture where it is.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import ipywidgets as widgets

from analysis.explorer.explore_choices import (
    ORDERS,
    ChoiceError,
    Choices,
    NetworkChoices,
    Show,
    StackChoices,
    check,
    check_one_of,
    parse_dilations,
    parse_map,
)
from analysis.explorer.explore_fields import Panel, network_panels, numbers, related, stack_panels, usual_maps
from analysis.explorer.explore_html import line_html, one_line, picture_html, table_html
from analysis.explorer.explore_picture import draw
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.subject import Subject, resolve
from dpn.input_size import parse_hw

if TYPE_CHECKING:
    from torch import nn

Network: TypeAlias = "str | nn.Module | Callable[[], nn.Module]"
"""A name, a network, or what builds one."""

SHOWN = (("shared with neighbour", "shared"), ("paths", "paths"), ("support", "support"))
DIRECTIONS = (("backward: what it reads", "backward"), ("forward: what it reaches", "forward"))
STRENGTHS = (("none", 0.0), *((f"v = {v:g}", v) for v in (4.0, 2.0, 1.0, 0.5, 0.25, 0.1)))
"""From no shortcuts to strong ones: v is the variance of a block's branch over that of its identity."""

SIZES = ("32x24", "64x48", "96x72")
MOST_MODULES = 8
FARTHEST = 256
ENDS = {"backward": "output", "forward": "input"}
"""The maps whose units see all of a network."""


def explore_stack(
    dilations: str | int | Sequence[int] = "32,16,8,4,2,1", *, map_size: str | tuple[int, int] = "64x48",
    modules: int = 1, shortcuts: float = 0.0, show: Show = "shared",
) -> widgets.Box:  # fmt: skip
    """Widgets for a stack of dilated 3x3 convolutions, and a picture of all its maps that follows them.

    Args:
        dilations: of one module, input to output, as text or as numbers.
        map_size: height and width of the maps, "64x48" or (64, 48).
        modules: how often the module stands in a row.
        shortcuts: variance of a block's branch over that of its identity shortcut; 0 for no shortcuts.
        show: "shared", what the neighbour shares of what the unit has; "paths"; or "support".
    """
    return _Stack(_typed(dilations, ","), _typed(map_size, "x"), modules, shortcuts, show).box


def explore_network(network: Network, input: str | tuple[int, int] = "256x192") -> widgets.Box:
    """Widgets for a network, and a picture of those of its maps that are picked.

    Args:
        network: a network itself, which stays as it is, or what builds one; or a name of the zoo, or
            `package.module:factory`; a factory in the notebook itself is `__main__:factory`.
        input: height and width of the image, "256x192" or (256, 192).
    """
    return _Network(network, _typed(input, "x")).box


class _Screen:
    """Where a picture, its numbers and one line of complaint are shown."""

    def __init__(self) -> None:
        self.message, self.picture, self.table = widgets.HTML(), widgets.HTML(), widgets.HTML()
        more = widgets.Accordion([self.table], titles=("Numbers",), selected_index=None)
        self.box = widgets.VBox([self.message, self.picture, more], layout={"min_width": "0"})

    def show(self, made: Callable[[], tuple[Choices, Sequence[Panel]]]) -> None:
        """Shows what the call returns; where it fails, why, above the last good picture."""
        with self.complaints():
            choices, panels = made()
            picture = picture_html(draw(panels, choices))
            self.table.value = table_html([numbers(panel) for panel in panels])
            self.picture.value = picture
            problems = list(dict.fromkeys(panel.problem for panel in panels if panel.problem))
            more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
            self.message.value = line_html(problems[0] + more if problems else "")

    @contextmanager
    def complaints(self) -> Any:
        """Shows an error that is raised inside as one line."""
        try:
            yield
        except (
            Exception
        ) as error:  # also whatever a researcher's own network raises: a traceback would bury the picture
            self.message.value = line_html(one_line(error))


class _Quiet:
    """While it is held, changes of widgets ask for nothing: one change by hand is one picture."""

    def __init__(self) -> None:
        self.holders = 0

    def __enter__(self) -> None:
        self.holders += 1

    def __exit__(self, *_: object) -> None:
        self.holders -= 1

    def on_change(self, widget: widgets.Widget, call: Callable[[], None]) -> None:
        """Calls when the widget's value changes, unless this is held."""
        widget.observe(lambda _change: None if self.holders else call(), "value")


class _View:
    """The widgets that both explorers have: unit, neighbour, what to show, direction."""

    def __init__(self, redraw: Callable[[], None], quiet: _Quiet, *, at_once: bool) -> None:
        self.quiet, self.fitted = quiet, False
        self.row = _named(widgets.IntSlider, "unit row", min=0, continuous_update=at_once)
        self.column = _named(widgets.IntSlider, "unit column", min=0, continuous_update=at_once)
        step = {"min": -FARTHEST, "max": FARTHEST}
        self.down = _named(widgets.BoundedIntText, "neighbour ↓", value=0, **step)
        self.right = _named(widgets.BoundedIntText, "neighbour →", value=1, **step)
        self.show = _named(widgets.Dropdown, "show", options=SHOWN)
        self.direction = _named(widgets.Dropdown, "direction", options=DIRECTIONS)
        self.widgets = (self.show, self.direction, self.row, self.column, self.down, self.right)
        for one in (self.show, self.row, self.column, self.down, self.right):
            quiet.on_change(one, redraw)

    def fit(self, map_hw: tuple[int, int], *, centre: bool = False) -> None:
        """Fits the sliders to a map; the unit keeps its place in proportion, or goes to the centre, as at first."""
        with self.quiet:
            for slider, size in zip((self.row, self.column), map_hw, strict=True):
                before = slider.max + 1
                place = size // 2 if centre or not self.fitted else slider.value * size // before
                slider.max = size - 1
                slider.value = place
            self.fitted = True
            if map_hw[1] == 1 and (self.down.value, self.right.value) == (0, 1):  # there is no column to the right
                self.down.value, self.right.value = 1, 0

    def chosen(self) -> dict[str, Any]:
        """The arguments of `Choices`."""
        return {
            "unit": (self.row.value, self.column.value), "step": (self.down.value, self.right.value),
            "show": self.show.value, "direction": self.direction.value,
        }  # fmt: skip


class _Stack:
    """The widgets of `explore_stack`."""

    def __init__(self, dilations: str, map_size: str, modules: int, shortcuts: float, show: Show) -> None:
        self.screen, quiet = _Screen(), _Quiet()
        self.dilations = _named(widgets.Text, "dilations", value=dilations, continuous_update=False)
        self.order = _named(widgets.Dropdown, "order", options=tuple(ORDERS))
        most = max(modules, MOST_MODULES)
        self.modules = _named(widgets.IntSlider, "modules", value=modules, min=1, max=most)
        self.size = _named(widgets.Combobox, "map size", value=map_size, options=SIZES, continuous_update=False)
        own = () if shortcuts in dict(STRENGTHS).values() else ((f"v = {shortcuts:g}", shortcuts),)
        self.shortcuts = _named(widgets.SelectionSlider, "shortcuts", options=(*STRENGTHS, *own), value=shortcuts)
        self.view = _View(self.redraw, quiet, at_once=True)
        mine = (self.dilations, self.order, self.modules, self.size, self.shortcuts)
        for one in (*mine, self.view.direction):
            quiet.on_change(one, self.redraw)
        self.box = _arranged((*mine, *self.view.widgets), self.screen)
        with quiet, self.screen.complaints():
            if modules < 1:
                raise ChoiceError(f"there is at least 1 module, not {modules}")
            check_one_of("show", show, get_args(Show))
            self.view.show.value = show
            self.redraw()

    def redraw(self) -> None:
        self.screen.show(self.made)

    def made(self) -> tuple[StackChoices, Sequence[Panel]]:
        map_hw = parse_map(self.size.value)
        self.view.fit(map_hw)
        choices = StackChoices(
            dilations=parse_dilations(self.dilations.value), order=self.order.value, modules=self.modules.value,
            map_hw=map_hw, shortcuts=self.shortcuts.value, **self.view.chosen(),
        )  # fmt: skip
        return choices, stack_panels(choices)


class _Network:
    """The widgets of `explore_network`, and the network whose maps they show."""

    def __init__(self, network: Network, input_size: str) -> None:
        name = network if isinstance(network, str) else getattr(network, "__name__", type(network).__name__)
        self.own = {} if isinstance(network, str) else {name: network}
        self.screen, self.quiet = _Screen(), _Quiet()
        self.graph: FieldGraph | None = None
        self.loaded = ""  # what the graph is of, while another name is being typed
        self.name = _named(widgets.Text, "network", value=name, continuous_update=False)
        self.input = _named(widgets.Text, "input", value=input_size, continuous_update=False)
        self.at = _named(widgets.Combobox, "unit map", continuous_update=False)
        self.maps = _named(widgets.SelectMultiple, "maps shown", rows=8)
        self.view = _View(self.redraw, self.quiet, at_once=False)
        for one, call in ((self.name, self.load), (self.input, self.load), (self.view.direction, self.turn),
                          (self.at, self.aim), (self.maps, self.redraw)):  # fmt: skip
            self.quiet.on_change(one, call)
        self.box = _arranged((self.name, self.input, self.at, *self.view.widgets, self.maps), self.screen)
        self.load()

    def load(self) -> None:
        """Another network or input: traced, and seen from one of its ends."""
        with self.screen.complaints(), self.quiet:
            name, size = self.name.value.strip(), self.input.value.strip()
            self.graph = traced(self.own.get(name, name), parse_hw(size), name)
            self.loaded = f"{name} at {size}"
            self.at.options = tuple(self.graph.names)
            self.at.value = ENDS[self.view.direction.value]
            self.aim()

    def turn(self) -> None:
        """The other direction: a unit at one end, from which nothing would be seen, goes to the other."""
        with self.quiet:
            if self.at.value in ENDS.values():
                self.at.value = ENDS[self.view.direction.value]
        self.aim()

    def aim(self) -> None:
        """Another map of the unit: other maps can be shown."""
        graph, at, direction = self.graph, self.at.value, self.view.direction.value
        if graph is None:
            return
        with self.screen.complaints(), self.quiet:
            names = related(graph, at, direction)
            self.maps.options = tuple((f"{name}   {size}", name) for name, size in names.items())
            self.maps.value = usual_maps(graph, at, direction)
            self.view.fit(graph.hw(at), centre=True)
            self.redraw()

    def redraw(self) -> None:
        graph = self.graph
        if graph is not None:
            self.screen.show(lambda: self.made(graph))

    def made(self, graph: FieldGraph) -> tuple[NetworkChoices, Sequence[Panel]]:
        choices = NetworkChoices(
            network=self.loaded, at=self.at.value, shown=self.maps.value, **self.view.chosen()
        )  # fmt: skip
        return choices, network_panels(graph, choices)


def traced(network: Network, input_hw: tuple[int, int], name: str) -> FieldGraph:
    """The graph of a network, on the CPU where its forward pass needs the values of tensors; the name is for warnings.

    Raises:
        ChoiceError: what is given is no network, nor can it build or name one.
    """
    from torch import nn  # only where a network is asked for

    from analysis.receptive_fields.field_trace import trace_subject

    if isinstance(network, str):
        subject = resolve(network, input_hw)
    else:
        check("network", network, callable(network), "a name, a torch.nn.Module or a function that builds one")
        subject = Subject(name, input_hw, (lambda: network) if isinstance(network, nn.Module) else network)
    return trace_subject(subject)[1]


def _typed(given: object, between: str) -> str:
    """What a researcher would type into a field for a value: text as it is, the numbers of several in a row."""
    if isinstance(given, Iterable) and not isinstance(given, str):
        return between.join(map(str, given))
    return str(given)


def _named(kind: Callable[..., Any], description: str, **options: Any) -> Any:
    return kind(description=description, style={"description_width": "84px"}, layout={"width": "272px"}, **options)


def _arranged(controls: Sequence[widgets.Widget], screen: _Screen) -> widgets.Box:
    """The controls beside the picture where there is room, else above it."""
    columns = {"grid_template_columns": "repeat(auto-fit, 278px)", "flex": "1 1 278px", "max_width": "860px"}
    grid = widgets.GridBox(controls, layout=columns)
    return widgets.Box([grid, screen.box], layout={"flex_flow": "row wrap", "align_items": "flex-start"})
