"""The looks of every figure, in one place: sizes, type, colours and marks.

A figure is drawn twice, for a light and for a dark page, so a drawing asks for its colours here, inside
`figure_style`. Every figure is one IEEE column wide where it can be: that is also the width of a phone, so one drawing
is legible in print, on a page and in a hand.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMN_IN = 3.487
"""Width of one column of an IEEE page, in inches."""

TEXT_PT = 8.0
PNG_DPI = 300
POINTS_PER_IN = 72


@dataclass(frozen=True)
class Theme:
    """Colours of everything that is not data.

    Attributes:
        background: what the figure is checked against and what separates marks; the svg itself is transparent.
        ink: text and reported marks.
        muted: axes, rings and thin lines.
        faint: guides and grids.
    """

    background: str
    ink: str
    muted: str
    faint: str


LIGHT = Theme(background="#ffffff", ink="#1b1b1b", muted="#5f6368", faint="#dcdfe3")
DARK = Theme(background="#15181c", ink="#e9eaec", muted="#a4abb3", faint="#3b4148")

_theme: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """The theme of the surrounding `figure_style`; light outside of any."""
    return _theme.get()


@dataclass(frozen=True)
class Look:
    """How one kind of thing is drawn, in every figure.

    Attributes:
        label: its name in legends.
        on_light: its colour on a light page; `on_dark` is the same hue on a dark one.
        on_dark: see there.
        marker: its mark, so that colour is never the only difference.
    """

    label: str
    on_light: str
    on_dark: str
    marker: str

    @property
    def colour(self) -> str:
        """The colour for the surrounding `figure_style`."""
        return self.on_dark if theme() is DARK else self.on_light


# Hues after Okabe and Ito (https://jfly.uni-koeln.de/color/), lightness moved until each reads on its page.
_VERMILION, _BLUE, _GREEN = ("#b83c00", "#ff8f4d"), ("#0068a8", "#5cb3ee"), ("#00966b", "#2fc79a")
_PURPLE, _ORANGE, _BROWN = ("#b0568a", "#e59bc6"), ("#c08800", "#f2b632"), ("#6b4a2b", "#c9a27e")

FAMILIES: dict[str, Look] = {
    "dpn": Look("DPN", *_VERMILION, "o"),
    "hrnet": Look("HRNet", *_BLUE, "s"),
    "sbl": Look("SBL", *_GREEN, "^"),
    "cpn": Look("CPN", *_PURPLE, "D"),
    "hourglass": Look("Hourglass", *_ORANGE, "v"),
}
OTHER_FAMILY = Look("other", *_BROWN, "P")

SCHEDULES: dict[str, Look] = {
    "dpm": Look("DPM, d = 32, 16, …, 1", *_VERMILION, "o"),
    "reversed": Look("reversed, d = 1, 2, …, 32", *_PURPLE, "v"),
    "constant": Look("constant D (labelled)", *_GREEN, "s"),
    "normal": Look("normal, d = 1", *_ORANGE, "D"),
    "highres": Look("DPM, high resolution", *_BLUE, "^"),
}

READERS: dict[str, Look] = {
    "u": Look("only output u", *_BLUE, "^"),
    "next": Look("only output u+1", *_ORANGE, "v"),
    "both": Look("both", *_GREEN, "s"),
}
"""Which of two neighbouring outputs read a position."""

HDC = Look("passes the HDC rule", *_BLUE, "D")
"""A stack that passes the rule for hybrid dilated convolutions of Wang et al. (2018)."""


def family_look(subject: str) -> Look:
    """The look of a network's family: the one whose name begins the network's.

    Example:
        >>> family_look("hrnet_w32").label, family_look("dpn2_hrnet").label, family_look("openpose").label
        ('HRNet', 'DPN', 'other')
    """
    return next((look for name, look in FAMILIES.items() if subject.startswith(name)), OTHER_FAMILY)


def _parameters(colours: Theme) -> dict[str, Any]:
    return {
        "text.usetex": False,
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs and widths everywhere
        "mathtext.fontset": "dejavusans",
        "font.size": TEXT_PT,
        "axes.titlesize": TEXT_PT,
        "axes.labelsize": TEXT_PT,
        "xtick.labelsize": TEXT_PT - 1,
        "ytick.labelsize": TEXT_PT - 1,
        "legend.fontsize": TEXT_PT - 1,
        "text.color": colours.ink,
        "axes.labelcolor": colours.ink,
        "xtick.labelcolor": colours.ink,
        "ytick.labelcolor": colours.ink,
        "axes.edgecolor": colours.muted,
        "xtick.color": colours.muted,
        "ytick.color": colours.muted,
        "grid.color": colours.faint,
        "grid.linewidth": 0.5,
        "hatch.linewidth": 0.5,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.facecolor": "none",
        "figure.facecolor": colours.background,
        "legend.frameon": False,
        "lines.linewidth": 0.8,
        "figure.dpi": PNG_DPI,
        "savefig.dpi": PNG_DPI,
        "path.simplify": False,
        # Outlines instead of <text>: a page's reader rarely has DejaVu Sans, and another font's widths would push
        # labels over points. Each glyph is stored once. The picture's alt text is what is read aloud and searched.
        "svg.fonttype": "path",
        "svg.hashsalt": "dpn-workbench",  # the ids in an svg are random without it
        "pdf.fonttype": 42,  # TrueType: IEEE refuses Type 3 fonts
    }


@contextlib.contextmanager
def figure_style(dark: bool = False) -> Iterator[Theme]:
    """Everything drawn and saved inside has the house's looks, whatever the user's matplotlibrc says."""
    chosen = DARK if dark else LIGHT
    token = _theme.set(chosen)
    try:
        with matplotlib.style.context(["default", _parameters(chosen)]):
            yield chosen
    finally:
        _theme.reset(token)


def canvas(height_in: float) -> Figure:
    """An empty figure of one column outside pyplot, so that nothing global holds it; texts can be measured at once."""
    figure = Figure(figsize=(COLUMN_IN, height_in))
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed by hand, in inches from the figure's top left corner: a layout that no font cache can move."""
    full_width, full_height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / full_width, 1 - (top + height) / full_height, width / full_width, height / full_height)
    )
    axes.yaxis.set_label_coords((0.15 - left) / width, 0.5)  # its baseline, wherever the tick labels end
    return axes


def say_instead(axes: Axes, words: str) -> None:
    """An honest empty panel: what is missing, and the command that makes it."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=TEXT_PT - 1)
