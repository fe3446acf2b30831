"""The catalogue of figures: for each its title and caption, what computes its data and what draws them.

Where a record is missing its mark is missing, and the figure says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.evidence import Evidence
from analysis.plots import (
    figure_1,
    figure_2,
    figure_3,
    figure_bounded,
    figure_efficiency,
    figure_erf,
    figure_latency,
    figure_layers,
    figure_orders,
    figure_people,
    figure_roofline,
    figure_tapestry,
    figure_training,
)


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
        optional: the page leaves it out while there is nothing to draw.
    """

    id: str
    title: str
    caption: str
    data: Callable[[Evidence], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    alt: Callable[[pd.DataFrame], str]
    optional: bool = False


FIGURES: dict[str, Drawing] = {
    drawing.id: drawing
    for drawing in (
        Drawing(
            id="figure-1",
            title="Figure 1",
            caption="One network of each family that the paper draws. A dot is a map that a convolution makes, at its "
            "resolution relative to the image; colour and size say how many rows of the image one of its units reads, "
            "holes and padding included. A line leads to what it reads. Traced from the networks operator by operator.",
            data=figure_1.data,
            draw=figure_1.draw,
            alt=figure_1.alt,
        ),
        Drawing(
            id="figure-2",
            title="Figure 2",
            caption="What the centre output of three 3-wide layers reads, in one dimension: (a) normal, (b) dilated, "
            "(c) DPM, (d) strided convolutions, as in the paper, here from the exact engine. Layers run upwards, from "
            "input to output; a line is a tap. The area of a filled circle is the number of paths from there to the "
            "output, which is written below the input. A ring is not read.",
            data=figure_2.data,
            draw=figure_2.draw,
            alt=figure_2.alt,
        ),
        Drawing(
            id="figure-tapestry",
            title="Two neighbours, through all maps",
            caption="Which positions output u and its neighbour u+1 read of each map, along one axis, from the output "
            "down to the input. Coverage: the share that u reads of what it spans. Overlap: the share of what u reads "
            "that u+1 reads too. Dilations run from input to output.",
            data=figure_tapestry.data,
            draw=figure_tapestry.draw,
            alt=figure_tapestry.alt,
        ),
        Drawing(
            id="figure-orders",
            title="Every order of the dilations",
            caption="All orders of the dilations 1, 2, 4, 8, 16, 32 in one module. Their receptive field and its "
            "coverage are the same; what an output reads of the maps in between, and shares there with its "
            "neighbour, are not. Coverage is the mean over the input and the maps in between, overlap over the latter. "
            "HDC is the rule of Wang et al. (2018), which was made to prevent gridding.",
            data=figure_orders.data,
            draw=figure_orders.draw,
            alt=figure_orders.alt,
        ),
        Drawing(
            id="figure-bounded",
            title="What zero padding does",
            caption="One module of 256-64-256 bottlenecks on the paper's two sizes of map. A tap is live where it "
            "meets the map; the multiply-adds of the others multiply padding. Effective inputs are two to the power of "
            "the path entropy, the mean over all outputs. The first two do not depend on the order of the dilations.",
            data=figure_bounded.data,
            draw=figure_bounded.draw,
            alt=figure_bounded.alt,
        ),
        Drawing(
            id="figure-erf",
            title="Exact and effective fields",
            caption="Fields of the central unit of one module in the map that the module reads, at the paper's 32x24. "
            "First row: where its paths come from, without shortcuts, exactly. Second: the exact expectation with "
            "shortcuts, if each block adds as much variance as the image brought. Both with their effective inputs, as "
            "a share of the map. Below: mean squared gradients of whole networks with random weights, with the "
            "smallest window around half of them, as a share of the map and as a 95 % interval; where there are "
            "records, also of modules trained on synthetic figures behind a light stem, two convolutions in place of "
            "conv0 to conv2 (one seed), from such figures. Grey contributes exactly nothing.",
            data=figure_erf.data,
            draw=figure_erf.draw,
            alt=figure_erf.alt,
        ),
        Drawing(
            id="figure-3",
            title="Figure 3",
            caption="AP on COCO val2017 over the number of parameters, for every network of Table VI with both. "
            "Dots are the paper's numbers, rings the parameters measured here; APs are the paper's throughout.",
            data=figure_3.data,
            draw=figure_3.draw,
            alt=figure_3.alt,
        ),
        Drawing(
            id="figure-efficiency",
            title="Accuracy over cost",
            caption="Reported AP of every DPN of Tables II to VI over its measured multiply-adds. A grey line is one "
            "cost: all ablations of one width, number of modules n and resolution share it. Open marks leave out the "
            "multiply-adds whose tap falls on padding. Table IV trains its high-resolution networks for longer.",
            data=figure_efficiency.data,
            draw=figure_efficiency.draw,
            alt=figure_efficiency.alt,
        ),
        Drawing(
            id="training-curves",
            title="Training on synthetic figures",
            caption="AP on people that were not trained on, over the steps of training, for the networks of Tables II "
            "to V. A bold line is the mean over seeds, the thin ones are the seeds. At its end a line is named "
            "by its number of modules n, or by its constant dilation D.",
            data=figure_training.data,
            draw=figure_training.draw,
            alt=figure_training.alt,
            optional=True,
        ),
        Drawing(
            id="figure-people",
            title="What a trained network sees",
            caption="The first people of a set that was neither trained nor validated on, as the network's input has "
            "them, with the joints that the network finds: those whose heatmap exceeds 0.2, left in blue, right in "
            "orange. Below, the similarity of all joints to the true ones (OKS). None is chosen.",
            data=figure_people.data,
            draw=figure_people.draw,
            alt=figure_people.alt,
            optional=True,
        ),
        Drawing(
            id="figure-layers",
            title="Where the multiply-adds go",
            caption="Measured multiply-adds of Table VI's DPNs by stage, and inside their modules by kind of layer and "
            "dilation d. The outlined part multiplies padding: its taps never meet the map. G is 10^9; each panel has "
            "its own scale.",
            data=figure_layers.data,
            draw=figure_layers.draw,
            alt=figure_layers.alt,
        ),
        Drawing(
            id="figure-latency",
            title="Time over cost",
            caption="Median time of one image over its multiply-adds, with the interval of the median, on the machine "
            "and in the setting with most records. A faint line is one speed in multiply-adds a second. τ is Kendall's "
            "rank correlation with its 95 % interval (bootstrap over costs: networks of one cost are drawn together). "
            "Named networks are those that the paper compares; the csv has every machine and setting, and the "
            "confidence of each interval.",
            data=figure_latency.data,
            draw=figure_latency.draw,
            alt=figure_latency.alt,
        ),
        Drawing(
            id="figure-roofline",
            title="How much of the machine is used",
            caption="Each tick is a network: the least time that the machine's ceilings allow over the time measured, "
            "where the nearer ceiling is that of arithmetic or of copying. All networks of one strip ran in one "
            "setting.",
            data=figure_roofline.data,
            draw=figure_roofline.draw,
            alt=figure_roofline.alt,
        ),
    )
}
"""Every figure, by id."""
