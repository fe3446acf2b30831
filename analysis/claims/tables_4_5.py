"""What the paper states of Tables IV and V (Section IV-B), as claims to be checked."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd

from analysis.claims.checks import (
    MUCH,
    Amount,
    Check,
    Claim,
    Recompute,
    arrow_claims,
    close_behind,
    compared,
    gap,
    gaps,
    is_above,
    is_at_most,
    is_zero,
    listed,
    near,
    network,
    one_unit,
    printed,
    quotient,
    reached,
)
from analysis.claims.tables_2_3 import WIDE
from analysis.evidence import Evidence
from dpn import dilation

SLIM = ("dpn1_32", "dpn2_32", "dpn3_32", "dpn4_32")
_THIRD = Fraction(1, 3)


def _resolution(evidence: Evidence) -> Check:
    cell = evidence.printed("table-4", "ap_64x48", "resolution")
    return Check(f"Table IV prints {cell.printed}", cell.printed == "64×32")


def _resolution_built(evidence: Evidence) -> Check:
    height, width = network(evidence, "dpn1_64_highres").module_hw
    return Check(f"256x192 at a quarter is {height}x{width}", (height, width) == (64, 32))


def _comparable(evidence: Evidence) -> Check:
    return close_behind(gaps(evidence, "table-4", ("ap_64x48", "ap_32x24"), WIDE))


def _slightly_lower(evidence: Evidence) -> Check:
    deficits = gaps(evidence, "table-4", ("ap_64x48", "ap_32x24"), WIDE)
    lower = [is_above(deficit, 0) for deficit in deficits]
    return compared(listed(deficits), [*lower, close_behind(deficits).holds])


def _printed_shares(evidence: Evidence) -> list[Amount]:
    rows = ("gflops_32x24", "gflops_64x48")
    pairs = [[printed(evidence, "table-4", row, name) for row in rows] for name in WIDE]
    return [quotient(medium, high) for medium, high in pairs]


def _measured_shares(evidence: Evidence) -> list[Amount]:
    return [
        quotient(
            one_unit(evidence, "table-4", "gflops_32x24", name, subject=name),
            one_unit(evidence, "table-4", "gflops_64x48", name, subject=f"{name}_highres"),
        )
        for name in WIDE
    ]


def _about_a_third(shares: Callable[[Evidence], list[Amount]]) -> Recompute:
    def check(evidence: Evidence) -> Check:
        found = shares(evidence)
        return compared(listed(found), (near(share, _THIRD) for share in found))

    return check


def _much_cheaper(shares: Callable[[Evidence], list[Amount]]) -> Recompute:
    def check(evidence: Evidence) -> Check:
        found = shares(evidence)
        return compared(listed(found), (is_at_most(share, 100 * MUCH) for share in found))

    return check


def _same_network_same_ap(evidence: Evidence) -> Check:
    pairs = [(printed(evidence, "table-4", "ap_32x24", n), printed(evidence, "table-2", "dpm", n)) for n in WIDE]
    text = "; ".join(f"{n.upper()} {four.text} and {two.text}" for n, (four, two) in zip(WIDE, pairs, strict=True))
    return compared(f"Tables IV and II: {text}", (is_zero(gap(four, two)) for four, two in pairs))


def _more_time(evidence: Evidence) -> Check:
    high, low = (printed(evidence, "table-4", row, "epochs") for row in ("ap_64x48", "ap_32x24"))
    cost = _much_cheaper(_printed_shares)(evidence)
    text = f"costs at 32x24 are {cost.text} of those at 64x48; {high.text} epochs against {low.text} were given"
    return Check(text, False if cost.holds is False else None)  # that they were needed is not shown


def _one_module(evidence: Evidence) -> Check:
    (lead,) = gaps(evidence, "table-5", ("dpm", "rdpm"), SLIM[:1])
    return compared(lead.text, [is_above(lead, 1)])


def _same_field(_: Evidence) -> Check:
    both = [dilation.rf_of_schedule(stack) for stack in (dilation.pyramid(), dilation.reversed_pyramid())]
    return Check(f"Eq. 2: {both[0]} and {both[1]}", both[0] == both[1])


def _same_field_counted(evidence: Evidence) -> Check:
    both = [reached(network(evidence, name).dilations) for name in ("dpn1_32", "dpn1_32_reversed")]
    return Check(f"pixels reached per axis: {both[0]} and {both[1]}", both[0] == both[1])


def _reversed_grids(_: Evidence) -> Check:
    stack = dilation.reversed_pyramid()
    pixels, rf = reached(stack), dilation.rf_of_schedule(stack)
    theirs, ours = (max(decoupled_groups(radii)) for radii in (stack, dilation.pyramid()))
    grids = pixels < rf, theirs > ours
    by_field, by_wiring = ("it holds" if one else "it fails" for one in grids)
    text = (
        f"by holes in the receptive field, as in Fig. 2 (b), {by_field}: {pixels} of {rf} pixels per axis contribute; "
        f"by the wiring {by_wiring}: outputs fall into up to {theirs} groups that share no pixel of an inner map, "
        f"DPM's into {ours}"
    )
    return Check(text, grids[0] if len({*grids}) == 1 else None)


def decoupled_groups(radii: Sequence[int]) -> list[int]:
    """Into how many groups the outputs fall that share no pixel of the map after each layer but the last.

    Outputs that read a common pixel of that map are of one group, and so are those linked through others. On an
    unbounded map they are those that differ, per axis, by multiples of the later radii's greatest common divisor.

    Example:
        >>> decoupled_groups((1, 2, 4)), decoupled_groups((4, 2, 1))
        ([4, 16], [1, 1])
    """
    return [gcd(*radii[layer:]) ** 2 for layer in range(1, len(radii))]


def _reversed_decouples(evidence: Evidence) -> Check:
    theirs, ours = (decoupled_groups(network(evidence, name).dilations) for name in ("dpn1_32_reversed", "dpn1_32"))
    holds = max(theirs) > 1 and max(ours) == 1
    text = f"groups of outputs that share no pixel of inner maps 1..{len(theirs)}: RDPM {theirs}, DPM {ours}"
    return Check(f"by the wiring {'it holds' if holds else 'it fails'}: {text}", None if holds else False)


def _still_ahead(evidence: Evidence) -> Check:
    leads = gaps(evidence, "table-5", ("dpm", "rdpm"), SLIM[1:])
    return compared(listed(leads), (is_above(lead, 0) for lead in leads))


def _competitive(evidence: Evidence) -> Check:
    return close_behind(gaps(evidence, "table-5", ("dpm", "rdpm"), SLIM[1:]))


def _contains_decreasing(_: Evidence) -> Check:
    lengths = {n: _longest_fall(dilation.reversed_pyramid() * n) for n in (2, 3, 4)}
    text = ", ".join(f"{length} in {n} modules" for n, length in lengths.items())
    needed = len(dilation.pyramid())
    return Check(
        f"longest run of falling radii, gaps allowed: {text}; DPM has {needed}", max(lengths.values()) >= needed
    )


def _longest_fall(radii: Sequence[int]) -> int:
    """Length of the longest strictly decreasing subsequence."""
    best: list[int] = []
    for i, radius in enumerate(radii):
        best.append(1 + max((best[j] for j in range(i) if radii[j] > radius), default=0))
    return max(best)


def _increasing(_: Evidence) -> Check:
    radii = dilation.reversed_pyramid()
    stated = tuple(2 ** (i - 1) for i in range(1, len(radii) + 1))
    return Check(f"i = 1..6: {', '.join(map(str, stated))}", stated == radii and list(stated) == sorted(set(stated)))


def _increasing_built(evidence: Evidence) -> Check:
    radii = network(evidence, "dpn1_32_reversed").dilations
    return Check(f"dpn1_32_reversed is built with {radii}", radii == tuple(2**i for i in range(len(radii))))


CLAIMS = (
    Claim(
        id="medium-slightly-lower",
        quotation="the medium-resolution features is lightly lower in performance compared to the high-resolution "
        "feature",
        place="Sec. III-B, Table IV",
        paper=_slightly_lower,
        note="Slightly: lower, and by no large margin.",
    ),
    Claim(
        id="medium-much-cheaper",
        quotation="with computation cost reduced significantly",
        place="Sec. III-B, Table IV",
        paper=_much_cheaper(_printed_shares),
        measured=_much_cheaper(_measured_shares),
        note="Significantly: to at most half.",
    ),
    Claim(
        id="one-network-two-aps",
        quotation="140 32×24 65.2",
        place="Table IV, DPN1_64; Table II",
        paper=_same_network_same_ap,
        note="The same networks, trained for the same 140 epochs, in two tables.",
    ),
    Claim(
        id="resolution-64x32",
        quotation="high-resolution representation, 64×32",
        place="Sec. IV-B, Table IV",
        paper=_resolution,
        measured=_resolution_built,
    ),
    Claim(
        id="comparable-at-medium",
        quotation="medium-resolution achieves comparable performance to high-resolution",
        place="Sec. IV-B, Table IV",
        paper=_comparable,
        note="Comparable: behind by no large margin. The high-resolution networks were trained half as long again, so "
        "resolution is not the only difference.",
    ),
    Claim(
        id="one-third-of-the-cost",
        quotation="medium-resolution only needs about one-third of the calculation of high-resolution",
        place="Sec. IV-B, Table IV",
        paper=_about_a_third(_printed_shares),
        measured=_about_a_third(_measured_shares),
        note="About: within a tenth of it.",
    ),
    Claim(
        id="more-time-to-train",
        quotation="it will bring much more computation cost and need more time to be trained well",
        place="Sec. IV-B, Table IV",
        paper=_more_time,
        note="The cost is much higher, but no high-resolution network trained for 140 epochs is reported, so that the "
        "need for more time is not shown.",
    ),
    *arrow_claims(
        "table-5",
        "Table V",
        "rdpm",
        {"dpn1_32": "50.6 ↑1.6", "dpn2_32": "56.9 ↑0.4", "dpn3_32": "60.0 ↑0.3", "dpn4_32": "62.0 ↑0.4"},
    ),
    Claim(
        id="table-5-increasing",
        quotation="The dilation radius of RDPM is defined by 2^(i-1), so the dilation radius scheme of RDPM is "
        "increasing",
        place="Table V, caption",
        paper=_increasing,
        measured=_increasing_built,
    ),
    Claim(
        id="more-than-one-percent",
        quotation="DPM outperforms RDPM by more than one percent in terms of average precision",
        place="Sec. IV-B, Table V",
        paper=_one_module,
        note="Percent: points of AP.",
    ),
    Claim(
        id="reversed-same-field",
        quotation="RDPM has the same receptive field with DPM",
        place="Sec. IV-B, Table V",
        paper=_same_field,
        measured=_same_field_counted,
    ),
    Claim(
        id="reversed-grids",
        quotation="it still suffers from gridding issue",
        place="Sec. IV-B, Table V",
        paper=_reversed_grids,
        measured=_reversed_decouples,
        note="Same coverage, different wiring, and the paper does not say which it means. By what it draws in Fig. 2 "
        "(b), pixels of the receptive field that do not contribute, which also decides here whether DPM grids, the "
        "statement is false: RDPM has none. By the wiring it is true: neighbouring outputs share no pixel of the inner "
        "maps. Groups are counted on an unbounded map.",
    ),
    Claim(
        id="reversed-consistently-behind",
        quotation="DPM still outperforms it consistently",
        place="Sec. IV-B, Table V",
        paper=_still_ahead,
    ),
    Claim(
        id="reversed-competitive",
        quotation="RDPM achieves a competitive performance with DPM",
        place="Sec. IV-B, Table V",
        paper=_competitive,
        note="With more than one module. Competitive: behind by no large margin.",
    ),
    Claim(
        id="stacked-reversed-decreases",
        quotation="stacked RDPM containing a decreasing dilation radius scheme like DPM",
        place="Sec. IV-B, Table V",
        paper=_contains_decreasing,
        note="Like DPM: as many layers, each with a smaller radius than the one before, in up to four modules.",
    ),
)
