"""The catalogue of figures: for each its title and caption, what computes its data and what draws them.

Where a record is missing its mark is missing, and the figure says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis import figure_3, figure_efficiency, figure_latency, figure_layers, figure_roofline
from analysis.evidence import Evidence
from analysis.figure_data import figure_3_data, figure_efficiency_data, figure_layers_data
from analysis.speed_data import figure_latency_data, figure_roofline_data


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of the report.

    Attributes:
        id: one name for files, anchor and `show`.
        title: "Figure 3", or a short name where the paper has no such figure.
        caption: what is drawn and how to read it; no measured number, for those are in the picture.
        data: what is drawn, from the evidence.
        draw: the picture, from the data.
        alt: the picture in words, from the data.
    """

    id: str
    title: str
    caption: str
    data: Callable[[Evidence], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    alt: Callable[[pd.DataFrame], str]


FIGURES: dict[str, Drawing] = {
    drawing.id: drawing
    for drawing in (
        Drawing(
            id="figure-3",
            title="Figure 3",
            caption="AP on COCO val2017 over the number of parameters, for every network of Table VI with both. "
            "Dots are the paper's numbers, rings the parameters measured here; APs are the paper's throughout.",
            data=figure_3_data,
            draw=figure_3.draw,
            alt=figure_3.alt,
        ),
        Drawing(
            id="figure-efficiency",
            title="Accuracy over cost",
            caption="Reported AP of every DPN of Tables II to VI over its measured multiply-adds. A grey line is one "
            "cost: all ablations of one width, number of modules n and resolution share it. Open marks leave out the "
            "multiply-adds whose tap falls on padding. Table IV trains its high-resolution networks for longer.",
            data=figure_efficiency_data,
            draw=figure_efficiency.draw,
            alt=figure_efficiency.alt,
        ),
        Drawing(
            id="figure-layers",
            title="Where the multiply-adds go",
            caption="Measured multiply-adds of Table VI's DPNs by stage, and inside their modules by kind of layer and "
            "dilation d. The outlined part multiplies padding: its taps never meet the map. G is 10^9; each panel has "
            "its own scale.",
            data=figure_layers_data,
            draw=figure_layers.draw,
            alt=figure_layers.alt,
        ),
        Drawing(
            id="figure-latency",
            title="Time over cost",
            caption="Median time of one image over its multiply-adds, with the 95 % interval, on the machine and in "
            "the setting with most records. A faint line is one speed in multiply-adds a second. τ is Kendall's rank "
            "correlation with its 95 % interval (bootstrap over networks). Named networks are those that the paper "
            "compares; the csv has every machine and setting.",
            data=figure_latency_data,
            draw=figure_latency.draw,
            alt=figure_latency.alt,
        ),
        Drawing(
            id="figure-roofline",
            title="How much of the machine is used",
            caption="Each tick is a network: the least time that the machine's ceilings allow over the time measured, "
            "where the nearer ceiling is that of arithmetic or of copying. All networks of one strip ran in one "
            "setting.",
            data=figure_roofline_data,
            draw=figure_roofline.draw,
            alt=figure_roofline.alt,
        ),
    )
}
"""Every figure, by id."""
