"""What the paper states about its settings, and of Tables II and III (Sections IV-A and IV-B), as claims."""

from fractions import Fraction
from itertools import pairwise

from analysis.claims.checks import (
    LARGE_MARGIN,
    MUCH,
    Amount,
    Check,
    Claim,
    arrow_claims,
    by_far,
    compared,
    gap,
    gaps,
    is_above,
    is_at_most,
    listed,
    network,
    printed,
    reached,
    same_costs,
    unchecked,
)
from analysis.evidence import Evidence
from bench.counts.conventions import round_printed
from dpn import dilation

WIDE = ("dpn1_64", "dpn2_64", "dpn3_64", "dpn4_64")
ENDS = ("dpn1_32", "dpn4_32")
RADII = ("d2", "d4", "d6", "d8")


def _leads(evidence: Evidence) -> list[Amount]:
    cells = [(row, column) for row in ENDS for column in RADII]
    return [gap(printed(evidence, "table-3", r, "dpm"), printed(evidence, "table-3", r, c)) for r, c in cells]


def _dpm_over_normal(evidence: Evidence) -> Check:
    leads = gaps(evidence, "table-2", ("dpm", "normal"), WIDE)
    return by_far(leads)


def _normal_costs(evidence: Evidence) -> Check:
    return _with_live(evidence, same_costs(evidence, [(name, f"{name}_normal") for name in WIDE]), WIDE[-1], "normal")


def _stacked_costs(evidence: Evidence) -> Check:
    pairs = [(name, f"{name}_{other}") for name in ENDS for other in ("normal", *RADII)]
    return _with_live(evidence, same_costs(evidence, pairs), ENDS[-1], "normal")


def _with_live(evidence: Evidence, nominal: Check, name: str, variant: str) -> Check:
    live = [evidence.record(subject, "live_macs") for subject in (name, f"{name}_{variant}")]
    values = [Fraction(record.value) for record in live if record is not None]
    if len(values) < len(live):
        return nominal
    share = round_printed(100 * values[0] / values[1], 1)
    text = f"{nominal.text}; of the multiply-adds that meet data, {name} has {share} % of those of the {variant} one"
    return Check(text, nominal.holds)


def _same_maps(evidence: Evidence) -> Check:
    sizes = {(network(evidence, n).module_hw, network(evidence, f"{n}_normal").module_hw) for n in WIDE}
    return Check(f"height and width at the modules: {sorted(sizes)}", all(one == other for one, other in sizes))


def _far_larger_field(_: Evidence) -> Check:
    ours, normal = (dilation.rf_of_schedule(stack) for stack in (dilation.pyramid(), dilation.normal()))
    return Check(f"one module: Eq. 6 gives {ours}, Eq. 1 gives {normal}", normal <= MUCH * ours)


def _far_larger_field_counted(evidence: Evidence) -> Check:
    fields = []
    for n, name in enumerate(WIDE, start=1):
        ours, normal = (network(evidence, variant).dilations * n for variant in (name, f"{name}_normal"))
        fields.append((reached(ours), reached(normal)))
    text = ", ".join(f"{ours} against {normal}" for ours, normal in fields)
    return Check(f"pixels reached per axis in one to four modules: {text}", all(b <= MUCH * a for a, b in fields))


def _beats_stacked(evidence: Evidence) -> Check:
    return by_far(_leads(evidence))


def _larger_than_stacked(_: Evidence) -> Check:
    fields = {name: dilation.rf_of_schedule(dilation.constant(int(name[1:]))) for name in ("d1", *RADII)}
    text = ", ".join(f"{name.upper()} {rf}" for name, rf in fields.items())
    return Check(f"Eq. 6: {dilation.rf_pyramid()}; Eq. 2: {text}", max(fields.values()) < dilation.rf_pyramid())


def _larger_than_stacked_counted(evidence: Evidence) -> Check:
    ours = reached(network(evidence, "dpn1_32").dilations)
    counts = {name: reached(network(evidence, f"dpn1_32_{name}").dilations) for name in ("normal", *RADII)}
    text = ", ".join(f"{name} {pixels}" for name, pixels in counts.items())
    return Check(f"pixels reached per axis: {ours}; {text}", max(counts.values()) < ours)


def _decreases(evidence: Evidence) -> Check:
    rows = [[printed(evidence, "table-3", row, column) for column in RADII] for row in ENDS]
    text = "; ".join(" > ".join(amount.text for amount in row) for row in rows)
    falls = [is_above(gap(before, after), 0) for row in rows for before, after in pairwise(row)]
    return compared(f"D = 2, 4, 6, 8{', not falling' if False in falls else ''}: {text}", falls)


def _eight_below_normal(evidence: Evidence) -> Check:
    falls = [gap(printed(evidence, "table-3", r, "d1"), printed(evidence, "table-3", r, "d8")) for r in ENDS]
    return by_far(falls)


def _unacceptable(evidence: Evidence) -> Check:
    falls = [gap(printed(evidence, "table-3", r, "d1"), printed(evidence, "table-3", r, RADII[-1])) for r in ENDS]
    return compared(f"D = 1 against D = 8: {listed(falls)}", (is_above(fall, 0) for fall in falls))


def _not_applicable(evidence: Evidence) -> Check:
    leads = [
        gap(printed(evidence, "table-3", r, c), printed(evidence, "table-3", r, "d1")) for r in ENDS for c in RADII
    ]
    return compared(f"constant D over D = 1: {listed(leads)}", (is_at_most(lead, 0) for lead in leads))


def _larger_than_32(_: Evidence) -> Check:
    radii = dilation.pyramid()
    return Check(f"Eq. 5: {', '.join(map(str, radii))}; the largest is {max(radii)}", max(radii) > 32)


def _larger_than_32_built(evidence: Evidence) -> Check:
    radii = network(evidence, "dpn1_32").dilations
    return Check(f"dpn1_32 is built with {radii}", max(radii) > 32)


def _epochs(evidence: Evidence) -> Check:
    epochs = [printed(evidence, "table-4", row, "epochs") for row in ("ap_32x24", "gflops_32x24")]
    longer = printed(evidence, "table-4", "ap_64x48", "epochs")
    text = f"Table IV: {epochs[0].text} at the default resolution, {longer.text} at the high one"
    return Check(text, all(count.value <= 140 for count in epochs))


def _oks_thresholds(_: Evidence) -> Check:
    thresholds = [Fraction(percent, 100) for percent in range(50, 100, 5)]
    return Check(f"0.50, 0.55 .. 0.95: {len(thresholds)} thresholds by COCO's definition", len(thresholds) == 10)


_DATASET = "neither the paper's tables nor the records hold the data sets' counts"
_LARGE = f"Large margin: more than {LARGE_MARGIN} points, as the text itself says of Table II."

CLAIMS = (
    Claim(
        id="gridding-unacceptable",
        quotation="the gridding issue of dilated convolution is unacceptable when the dilation radius is large enough",
        place="Sec. III-A, Table III",
        paper=_unacceptable,
        note="Unacceptable: worse than no dilation at all, in both networks, at the largest D.",
    ),
    Claim(
        id="coco-images",
        quotation="The COCO dataset [13] contains about 200k images with labeled keypoints",
        place="Sec. IV-A",
        paper=unchecked(_DATASET),
    ),
    Claim(
        id="oks-thresholds",
        quotation="mean Average Precision (mAP) over ten object keypoint similarity (OKS) thresholds",
        place="Sec. IV-A",
        paper=unchecked("the paper does not list them"),
        measured=_oks_thresholds,
    ),
    Claim(
        id="mpii-images",
        quotation="contains around 25K images with 40K subjects, there are 12K subjects for testing",
        place="Sec. IV-A",
        paper=unchecked(_DATASET),
    ),
    Claim(
        id="epochs-by-default",
        quotation="Training process is terminated within 140 epochs by default",
        place="Sec. IV-A, Table IV",
        paper=_epochs,
    ),
    Claim(
        id="table-2-same-costs",
        quotation="So all the compared methods consume the same parameters and computation cost",
        place="Table II, caption",
        paper=unchecked("Table II prints no costs"),
        measured=_normal_costs,
        note="Each network and its normal counterpart; DPN1 to DPN4 themselves differ.",
    ),
    *arrow_claims(
        "table-2",
        "Table II",
        "normal",
        {"dpn1_64": "64.5 ↑4.8", "dpn2_64": "68.0 ↑4.0", "dpn3_64": "69.2 ↑4.9", "dpn4_64": "69.9 ↑5.3"},
    ),
    Claim(
        id="normal-same-map",
        quotation="the compared models maintain the same feature map size",
        place="Sec. IV-B",
        paper=unchecked("Table II prints no sizes"),
        measured=_same_maps,
    ),
    Claim(
        id="more-than-4-points",
        quotation="by a large margin, which is greater than 4 percentage in the terms of average precision (AP)",
        place="Sec. IV-B, Table II",
        paper=_dpm_over_normal,
        note="Percentage: points of AP, as the arrows print them.",
    ),
    Claim(
        id="much-larger-field",
        quotation="DPM can achieve a much larger receptive field than its normal counterpart model",
        place="Sec. IV-B",
        paper=_far_larger_field,
        measured=_far_larger_field_counted,
        note="Much larger: at least twice. A 32x24 map cuts both off.",
    ),
    Claim(
        id="table-3-same-costs",
        quotation="the same parameter volume and FLOPs",
        place="Sec. IV-B, Table III",
        paper=unchecked("Table III prints no costs"),
        measured=_stacked_costs,
    ),
    Claim(
        id="beats-stacked-by-far",
        quotation="DPM outperforms all of the stacked dilated convolution counterparts by a large margin",
        place="Sec. IV-B, Table III",
        paper=_beats_stacked,
        note=_LARGE,
    ),
    Claim(
        id="larger-field-than-stacked",
        quotation="DPM achieves larger receptive fields than stacked dilation convolution",
        place="Sec. IV-B, Table III",
        paper=_larger_than_stacked,
        measured=_larger_than_stacked_counted,
    ),
    Claim(
        id="decreases-above-two",
        quotation="the performance of stacked dilated convolution decreases when the dilation radius is larger than "
        "two",
        place="Sec. IV-B, Table III",
        paper=_decreases,
    ),
    Claim(
        id="eight-below-normal",
        quotation="the performance is even lower than normal convolution (D = 1) by a large margin",
        place="Sec. IV-B, Table III",
        paper=_eight_below_normal,
        note=_LARGE,
    ),
    Claim(
        id="dilation-not-applicable",
        quotation="simply adopting dilated convolution to human pose estimation is not applicable",
        place="Sec. IV-B, Table III",
        paper=_not_applicable,
        note="Not applicable: no constant radius is ahead of none at all.",
    ),
    Claim(
        id="larger-than-32",
        quotation="the proposed DPM module contains dilated convolution with dilation radius larger than 32",
        place="Sec. IV-B",
        paper=_larger_than_32,
        measured=_larger_than_32_built,
    ),
)
