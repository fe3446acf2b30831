"""What the paper states about its method (Section III, Table I), as claims to be checked."""

from fractions import Fraction
from itertools import pairwise

from analysis.claims.checks import (
    Amount,
    Check,
    Claim,
    column,
    figure,
    near,
    network,
    params,
    printed,
    quotient,
    reached,
    unchecked,
)
from analysis.claims.costs import COCO_RIVALS
from analysis.evidence import Evidence
from dpn import dilation

FIGURE_LAYERS = 3
"""Layers that Figure 2 stacks."""

LAYERS = range(1, dilation.PYRAMID_LAYERS + 1)
"""N of Eq. 6, up to the paper's module."""

_HALF = Fraction(1, 2)


def complete(evidence: Evidence) -> Check:
    """Whether every pixel of the receptive field contributes, in Figure 2 (c) and in a module of DPN4_64."""
    stacks = (dilation.pyramid(FIGURE_LAYERS), network(evidence, "dpn4_64").dilations)
    counts = [(len(stack), reached(stack), dilation.rf_of_schedule(stack)) for stack in stacks]
    text = "; ".join(f"{layers} layers: {pixels} of {rf} pixels" for layers, pixels, rf in counts)
    return Check(f"{text} per axis contribute", all(pixels == rf for _, pixels, rf in counts))


def _linear(_: Evidence) -> Check:
    fields = [1]
    for _layer in LAYERS:
        fields.append(dilation.rf_after_convolution(fields[-1], 3))
    steps = {after - before for before, after in pairwise(fields)}
    return Check(f"Eq. 1 with k = 3: {', '.join(map(str, fields))}; steps of {sorted(steps)}", len(steps) == 1)


def _more_rapidly(_: Evidence) -> Check:
    dilated, ordinary = (
        [dilation.rf_of_schedule(dilation.constant(d, n)) for n in range(1, FIGURE_LAYERS + 1)] for d in (2, 1)
    )
    holds = all(wide > narrow for wide, narrow in zip(dilated, ordinary, strict=True))
    return Check(f"Eq. 2 with d = 2: {dilated}; Eq. 1: {ordinary}", holds)


def _half_of_the_pixels(_: Evidence) -> Check:
    stack = dilation.constant(2, FIGURE_LAYERS)
    pixels, rf = reached(stack), dilation.rf_of_schedule(stack)
    share = quotient(Amount(Fraction(pixels), str(pixels)), Amount(Fraction(rf), str(rf)))
    square = quotient(Amount(Fraction(pixels**2), str(pixels**2)), Amount(Fraction(rf**2), str(rf**2)))
    return Check(f"{share.text} on the figure's axis; {square.text} on a map", near(share, _HALF))


def _four_times(_: Evidence) -> Check:
    per_axis = dilation.jump_after_strided(1, 2)
    ordinary = dilation.rf_after_strided(3, 3, 1) - 3
    after = dilation.rf_after_strided(3, 3, per_axis) - 3
    text = (
        f"Eq. 4: the total stride grows {per_axis} times per axis, {per_axis**2} times in pixels; Eq. 3: each later "
        f"layer adds {after} in place of {ordinary} pixels per axis"
    )
    return Check(text, per_axis**2 == 4 and (after // ordinary) ** 2 == 4)


def _four_times_on_the_axis(_: Evidence) -> Check:
    per_axis = dilation.jump_after_strided(1, 2)
    return Check(f"on the one axis that Fig. 2 (d) draws: {per_axis} times", per_axis == 4)


def _eq6(_: Evidence) -> Check:
    cases = [(k, n) for k in (2, 3, 5, 7) for n in LAYERS]
    lines = [
        {
            k + sum((k - 1) * 2**i for i in range(1, n)),
            (k - 1) * sum(2**i for i in range(n)) + 1,
            dilation.rf_pyramid(k, n),
            dilation.rf_of_schedule(dilation.pyramid(n), k),
        }
        for k, n in cases
    ]
    text = f"its three lines and Eq. 2 layer by layer agree for k = 2, 3, 5, 7 and N = 1..6; {dilation.rf_pyramid()}"
    return Check(f"{text} for k = 3, N = 6", all(len(line) == 1 for line in lines))


def _eq6_counted(evidence: Evidence) -> Check:
    pixels = reached(network(evidence, "dpn4_64").dilations)
    return Check(f"{pixels} pixels per axis reach the output of one module", pixels == dilation.rf_pyramid())


def _table_1_dilations(evidence: Evidence) -> Check:
    built, stated = network(evidence, "dpn4_64").dilations, tuple(2 ** (6 - i) for i in range(1, 7))
    return Check(f"i = 1..6: {', '.join(map(str, stated))}; dpn4_64 is built with {built}", built == stated)


def _table_1_caption(_: Evidence) -> Check:
    same = all(2 ** (6 - i) == dilation.layer_dilation(i) for i in LAYERS)
    return Check("Eq. 5 with N = 6 gives the same radii", same)


def _subsampling(evidence: Evidence) -> Check:
    sizes = [evidence.printed("table-1", row, "output_size").printed for row in ("conv0", "conv1", "conv2")]
    (width, height), (low_width, low_height) = (map(int, size.split("x")) for size in sizes[1:])
    halves = width == 2 * low_width and height == 2 * low_height
    text = f"Table I: {sizes[1]} to {sizes[2]}; conv0 and pooling, also of stride 2, come before ({sizes[0]})"
    return Check(text, halves)


def _subsampling_built(evidence: Evidence) -> Check:
    spec = network(evidence, "dpn4_64")
    height, width = spec.module_hw
    return Check(f"built with stride {spec.conv2_stride} in conv2; modules at {height}x{width}", spec.conv2_stride == 2)


def _params_07(evidence: Evidence) -> Check:
    cells = [("table-1", "params", "dpn4_32"), ("table-6", "dpn4_32", "params"), ("table-7", "dpn4_32_mpii", "params")]
    values = {printed(evidence, *cell).text for cell in cells}
    return Check(f"Tables I, VI and VII print {' and '.join(sorted(values))} M", values == {"0.7"})


def _params_07_measured(evidence: Evidence) -> Check:
    return figure(params(evidence, "dpn4_32"), "0.7")


def _one_twentieth(evidence: Evidence) -> Check:
    rivals = column(evidence, "table-6", "params", COCO_RIVALS)
    least = min(rivals, key=lambda row: rivals[row].value)
    share = quotient(printed(evidence, "table-6", "dpn4_32", "params"), rivals[least])
    return Check(f"of {least}, the smallest rival of Table VI: {share.text}", share.value <= 5)


def _one_twentieth_measured(evidence: Evidence) -> Check:
    rivals = {row: params(evidence, row) for row in COCO_RIVALS}
    least = min(rivals, key=lambda row: rivals[row].value)
    share = quotient(params(evidence, "dpn4_32"), rivals[least])
    return Check(f"of {least}, the smallest rival of Table VI: {share.text}", share.value <= 5)


CLAIMS = (
    Claim(
        id="normal-grows-linearly",
        quotation="staking normal convolution layers can only increases receptive field size linearly",
        place="Sec. III-A, Eq. 1",
        paper=_linear,
    ),
    Claim(
        id="dilated-grows-faster",
        quotation="the receptive field of stacking dilated convolution increases more rapidly than that of stacking "
        "normal convolution",
        place="Sec. III-A, Eq. 2",
        paper=_more_rapidly,
    ),
    Claim(
        id="half-of-the-pixels",
        quotation="there are only half of the pixels in the receptive field contributing to the final output",
        place="Sec. III-A, Fig. 2 (b)",
        paper=_half_of_the_pixels,
        note="Half: within a tenth of it, on one axis as drawn.",
    ),
    Claim(
        id="subsampling-four-times",
        quotation="a subsampling operation enlarges the receptive fields of input feature by four times",
        place="Sec. III-A, Fig. 2 (d)",
        paper=_four_times,
        measured=_four_times_on_the_axis,
        note="The paper's unit has to be pixels of a map; the figure that it points to has one axis, and Section II "
        "counts times per axis.",
    ),
    Claim(
        id="table-1-dilations",
        quotation="The dilation radius of i_th 3×3 convolution in DPM is determined by 2^(6-i)",
        place="Table I, caption",
        paper=_table_1_caption,
        measured=_table_1_dilations,
    ),
    Claim(
        id="table-1-subsampling",
        quotation="Subsampling is performed by conv2_0 with a stride of 2",
        place="Table I, caption",
        paper=_subsampling,
        measured=_subsampling_built,
    ),
    Claim(
        id="equation-6",
        quotation="where RF_total is the total receptive fields of DPM",
        place="Sec. III-A, Eq. 6",
        paper=_eq6,
        measured=_eq6_counted,
    ),
    Claim(
        id="field-is-complete",
        quotation="the receptive field of DPM is complete",
        place="Sec. III-A, Fig. 2 (c)",
        paper=unchecked("the paper gives no number"),
        measured=complete,
        note="Without borders; on a 32x24 map the layer of dilation 32 reads nothing but its own pixel.",
    ),
    Claim(
        id="params-0.7",
        quotation="DPN4_32 achieves promising performance with only 0.7 M parameters",
        place="Sec. III-B",
        paper=_params_07,
        measured=_params_07_measured,
    ),
    Claim(
        id="one-twentieth",
        quotation="only no more than one twentieth of that of the stat-of-the-art method",
        place="Sec. III-B, Table VI",
        paper=_one_twentieth,
        measured=_one_twentieth_measured,
        note="The text names no method, so the smallest one decides.",
    ),
)
