"""What the paper states of Tables VI and VII and of Figure 3 (Section IV-C), as claims to be checked."""

from fractions import Fraction

from analysis.claims.checks import (
    MUCH,
    Amount,
    Check,
    Claim,
    Recompute,
    close_behind,
    column,
    compared,
    figure,
    gap,
    is_above,
    is_zero,
    listed,
    near,
    params,
    printed,
    quotient,
    unchecked,
)
from analysis.claims.costs import (
    AS_MEASURED,
    AS_PRINTED,
    COCO_RIVALS,
    MPII_RIVALS,
    ONE_UNIT,
    PRINTED_COST,
    PRINTED_PARAMS,
    RECORDED_PARAMS,
    Cost,
    at_most,
    each_share,
    more_efficient,
)
from analysis.evidence import Evidence
from bench.counts.conventions import round_printed

_HALF = Fraction(1, 2)


def _about_half(share: Amount) -> bool | None:
    return near(share, _HALF)


def _beats(ours: str, *rivals: str) -> Recompute:
    def check(evidence: Evidence) -> Check:
        leads = [gap(*(printed(evidence, "table-6", row, "ap") for row in (ours, rival))) for rival in rivals]
        return compared(listed(leads), (is_above(lead, 0) for lead in leads))

    return check


def _just_two_modules(evidence: Evidence) -> Check:
    one, four = (printed(evidence, "table-4", "gflops_32x24", name) for name in ("dpn1_64", "dpn4_64"))
    base, whole = (printed(evidence, "table-6", row, "gflops") for row in ("hrnet_w32", "dpn2_hrnet"))
    step = gap(four, one)
    added = Amount(2 * step.value / 3, "", 2 * step.below / 3, 2 * step.above / 3)
    text = f"{base.text} + 2 ({four.text} - {one.text}) / 3 = {round_printed(base.value + added.value, 2)}"
    return compared(f"{text}, printed {whole.text}", [is_zero(gap(gap(whole, base), added))])


def _just_two_modules_measured(evidence: Evidence) -> Check:
    base, one, two = (params(evidence, name) for name in ("hrnet_w32", "dpn1_64", "dpn2_64"))
    whole, stated = params(evidence, "dpn2_hrnet"), printed(evidence, "table-6", "dpn2_hrnet", "params").text
    value = base.value + 2 * (two.value - one.value)
    alone = figure(Amount(value, f"{base.text} + 2 ({two.text} - {one.text}) = {round_printed(value, 3)} M"), stated)
    built = figure(Amount(whole.value, f"with the transition that is built here {whole.text}"), stated)
    return Check(f"{alone.text}; {built.text}", alone.holds or (None if built.holds else False))


def _names_a_row(name: str) -> Recompute:
    def check(evidence: Evidence) -> Check:
        rows = [row for row in evidence.reported["table-6"].rows if "hrnet" in row]
        labels = [evidence.printed("table-6", row, "method").printed for row in rows]
        return Check(f"Table VI has {', '.join(labels)}", any(name in label for label in labels))

    return check


def _competitive_with_w48(evidence: Evidence) -> Check:
    deficit = gap(printed(evidence, "table-6", "hrnet_w48", "ap"), printed(evidence, "table-6", "dpn2_hrnet", "ap"))
    return close_behind([deficit], f"with HRNet-w48: {deficit.text}")


def _share_of_all(evidence: Evidence) -> Check:
    ours = printed(evidence, "table-7", "dpn4_64_mpii", "pckh")
    shares = [quotient(ours, rival, 3) for rival in column(evidence, "table-7", "pckh", MPII_RIVALS).values()]
    least = min(shares, key=lambda share: share.value)
    return compared(f"the least is {least.text}", (is_above(share, 95) for share in shares))


def _of_pil(cost: Cost, stated: str) -> Recompute:
    def check(evidence: Evidence) -> Check:
        ours, theirs = (cost.read(evidence, "table-7", row) for row in ("dpn4_64_mpii", "pil"))
        return figure(quotient(ours, theirs, 3), stated)

    return check


_PCKH = Cost("PCKh", lambda evidence, table, row: printed(evidence, table, row, "pckh"))
_MUCH_NOTE = "Much, significantly: at most half."
_ONE = Fraction(1)

CLAIMS = (
    Claim(
        id="table-6-input-size",
        quotation="Resolution of input image is 256×192",
        place="Table VI, caption",
        paper=unchecked("the paper does not say what each rival was given"),
        note="OpenPose and Mask R-CNN find people in whole images, by their publications at other sizes (368x368 and "
        "800x1088 here); the caption makes no exception for them.",
    ),
    Claim(
        id="better-than-openpose-and-cpn",
        quotation="achieves better performance than previous state-of-the-art methods OpenPose [27] and CPN [8]",
        place="Sec. IV-C, Table VI",
        paper=_beats("dpn4_64", "openpose", "cpn_r50"),
    ),
    Claim(
        id="cheaper-than-openpose-and-cpn",
        quotation="with significantly lower computation cost and much fewer parameters",
        place="Sec. IV-C, Table VI",
        paper=each_share(at_most(MUCH), "table-6", "dpn4_64", ("openpose", "cpn_r50"), AS_PRINTED),
        measured=each_share(at_most(MUCH), "table-6", "dpn4_64", ("openpose", "cpn_r50"), AS_MEASURED),
        note=f"{_MUCH_NOTE} Table VI prints no cost of OpenPose.",
    ),
    Claim(
        id="better-than-openpose-with-0.7",
        quotation="DPN4_32, achieves better performance than OpenPose [27] with only 0.7 mega parameters",
        place="Sec. IV-C, Table VI",
        paper=_beats("dpn4_32", "openpose"),
        measured=lambda evidence: figure(params(evidence, "dpn4_32"), "0.7"),
    ),
    Claim(
        id="effective-elsewhere",
        quotation="The proposed Dilation Pyramid Module (DPM) is effective to other backbone nets too",
        place="Sec. IV-C, Table VI",
        paper=_beats("dpn2_hrnet", "hrnet_w32"),
        note="One other backbone; how far apart two trainings of one network are is not reported.",
    ),
    Claim(
        id="just-two-more-modules",
        quotation="DPM2_HRNet has just two more DPM modules stacked to the end of the backbone net HRNet-w32",
        place="Sec. IV-C, Table VI",
        paper=_just_two_modules,
        measured=_just_two_modules_measured,
        note="A module's cost is the step between DPN1_64 and DPN4_64 or DPN2_64. Modules of 256 channels cannot "
        "follow HRNet's 32 without a transition. The text leaves it out, which may be no more than brevity: with one "
        "both costs print.",
    ),
    Claim(
        id="hrnet-w64",
        quotation="achieves competitive performance to the heavy HRNet-w64",
        place="Sec. IV-C, Table VI",
        paper=_names_a_row("HRNet-w64"),
        note="There is no such network in the table; the numbers that follow are HRNet-w48's.",
    ),
    Claim(
        id="competitive-with-w48",
        quotation="competitive performance to the heavy HRNet-w64",
        place="Sec. IV-C, Table VI",
        paper=_competitive_with_w48,
        note="Read as HRNet-w48. Competitive: behind by no large margin.",
    ),
    Claim(
        id="half-of-w48",
        quotation="with only half computation and parameters of it",
        place="Sec. IV-C, Table VI",
        paper=each_share(_about_half, "table-6", "dpn2_hrnet", ("hrnet_w48",), AS_PRINTED),
        measured=each_share(_about_half, "table-6", "dpn2_hrnet", ("hrnet_w48",), AS_MEASURED),
        note="Read as HRNet-w48. Half: within a tenth of it.",
    ),
    Claim(
        id="parameter-efficiency",
        quotation="the proposed DPN net achieves much better parameter efficiency than the previous state-of-the-art "
        "methods",
        place="Sec. IV-C, Fig. 3",
        paper=more_efficient("table-6", "ap", "dpn4_64", COCO_RIVALS, PRINTED_PARAMS, 1 / MUCH),
        measured=more_efficient("table-6", "ap", "dpn4_64", COCO_RIVALS, RECORDED_PARAMS, 1 / MUCH),
        note="AP for each million parameters, DPN4_64; much better: more than twice the best rival's.",
    ),
    Claim(
        id="less-computation-than-all",
        quotation="our DPN net consumes less computation cost than previous methods achieving better or competitive "
        "performance",
        place="Sec. IV-C, Table VI",
        paper=each_share(at_most(_ONE), "table-6", "dpn4_64", COCO_RIVALS, (PRINTED_COST,)),
        measured=each_share(at_most(_ONE), "table-6", "dpn4_64", COCO_RIVALS, (ONE_UNIT,)),
        note="DPN4_64, against every rival whose cost is printed, the two that do worse among them; DPN2_hrnet costs "
        "more than HRNet-w32 and CPN.",
    ),
    Claim(
        id="more-than-95-percent",
        quotation="Our DPN4_64 achieves more than 95% of all the previous state-of-the-art methods",
        place="Sec. IV-C, Table VII",
        paper=_share_of_all,
    ),
    Claim(
        id="mpii-costs-decreased",
        quotation="with parameter volume and computation cost decreased significantly",
        place="Sec. IV-C, Table VII",
        paper=each_share(at_most(MUCH), "table-7", "dpn4_64_mpii", MPII_RIVALS, AS_PRINTED),
        measured=each_share(at_most(MUCH), "table-7", "dpn4_64_mpii", MPII_RIVALS, AS_MEASURED),
        note=_MUCH_NOTE,
    ),
    Claim(
        id="95.8-percent-of-pil",
        quotation="our DPN4_64 achieves 95.8% of the performance of PIL [29]",
        place="Sec. IV-C, Table VII",
        paper=_of_pil(_PCKH, "95.8"),
    ),
    Claim(
        id="12.7-percent-of-pil",
        quotation="our DPN4_64 only consumes 12.7% of the parameters",
        place="Sec. IV-C, Table VII",
        paper=_of_pil(PRINTED_PARAMS, "12.7"),
        measured=_of_pil(RECORDED_PARAMS, "12.7"),
        note="PIL's parameters are printed as a whole number, and recorded of a network rebuilt from its description.",
    ),
    Claim(
        id="6.3-percent-of-pil",
        quotation="6.3% of the computation consumed by PIL [29]",
        place="Sec. IV-C, Table VII",
        paper=_of_pil(PRINTED_COST, "6.3"),
        measured=_of_pil(ONE_UNIT, "6.3"),
        note="DPN4_64's cost is printed in multiply-adds / 2^30, PIL's in operations / 10^9, two to a multiply-add.",
    ),
    *(
        Claim(
            id=f"mpii-efficiency-{part}",
            quotation=quotation,
            place="Sec. IV-C, Table VII",
            paper=more_efficient("table-7", "pckh", "dpn4_64_mpii", MPII_RIVALS, as_printed, _ONE),
            measured=more_efficient("table-7", "pckh", "dpn4_64_mpii", MPII_RIVALS, as_measured, _ONE),
            note=note,
        )
        for part, quotation, as_printed, as_measured, note in (
            (
                "parameters",
                "achieves better efficiency both in parameters",
                PRINTED_PARAMS,
                RECORDED_PARAMS,
                "PCKh for each million parameters.",
            ),
            (
                "computation",
                "and computation than previous methods on the MPII dataset",
                PRINTED_COST,
                ONE_UNIT,
                "PCKh for each unit of cost.",
            ),
        )
    ),
)
