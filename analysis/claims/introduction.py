"""What the paper states before its method (abstract, Figure 2, Sections I and II), as claims to be checked."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from analysis.claims.checks import (
    MUCH,
    Amount,
    Check,
    Claim,
    Recompute,
    close_behind,
    column,
    gap,
    network,
    printed,
    reached,
    unchecked,
)
from analysis.claims.costs import (
    AS_MEASURED,
    AS_PRINTED,
    COCO_RIVALS,
    MPII_RIVALS,
    Cost,
    at_most,
    both,
    each_share,
)
from analysis.claims.method import FIGURE_LAYERS, LAYERS, complete
from analysis.evidence import Evidence
from dpn import dilation


def _growth(fields: Sequence[int], source: str) -> Check:
    doubles = all(after >= 2 * before for before, after in pairwise(fields))
    each = "each at least doubles" if doubles else "they do not double"
    return Check(f"{source}: {', '.join(map(str, fields))}; {each}", doubles)


def _eq6_growth(_: Evidence) -> Check:
    return _growth([dilation.rf_pyramid(layers=n) for n in LAYERS], "Eq. 6 for N = 1..6")


def _counted_growth(_: Evidence) -> Check:
    return _growth([reached(dilation.pyramid(n)) for n in LAYERS], "pixels reached per axis for N = 1..6")


def _modules_growth(_: Evidence) -> Check:
    fields = [dilation.rf_of_schedule(dilation.pyramid(), modules=n) for n in (1, 2, 3, 4)]
    return _growth(fields, "Eq. 2 for one to four modules")


def _modules_counted(evidence: Evidence) -> Check:
    fields = [reached(network(evidence, f"dpn{n}_64").dilations * n) for n in (1, 2, 3, 4)]
    return _growth(fields, "pixels reached per axis in DPN1 to DPN4")


def _as_subsampling(_: Evidence) -> Check:
    rf, jump = 1, 1
    for _layer in range(FIGURE_LAYERS):
        rf, jump = dilation.rf_after_strided(rf, 3, jump), dilation.jump_after_strided(jump, 2)
    pyramid = dilation.rf_pyramid(layers=FIGURE_LAYERS)
    return Check(f"Eq. 6 for N = {FIGURE_LAYERS}: {pyramid}; Eqs. 3 and 4 with stride 2: {rf}", pyramid == rf)


def _as_subsampling_counted(evidence: Evidence) -> Check:
    # A stride spreads the taps of every later layer as a dilation does: three layers of stride 2 read at 1, 2 and 4.
    strided = reached([2**i for i in range(FIGURE_LAYERS)])
    pyramid = reached(network(evidence, "dpn4_64").dilations[-FIGURE_LAYERS:])
    text = (
        f"pixels reached per axis: {pyramid} by the last {FIGURE_LAYERS} layers of a module, {strided} by strided ones"
    )
    return Check(text, pyramid == strided)


def _competitive(evidence: Evidence) -> Check:
    def behind(table: str, score: str, rivals: tuple[str, ...], ours: Amount) -> Amount:
        return gap(max(column(evidence, table, score, rivals).values(), key=lambda amount: amount.value), ours)

    mpii = behind("table-7", "pckh", MPII_RIVALS, printed(evidence, "table-7", "dpn4_64_mpii", "pckh"))
    coco = {
        "DPN4_64 at its default size": printed(evidence, "table-6", "dpn4_64", "ap"),
        "DPN4_64 at high resolution": printed(evidence, "table-4", "ap_64x48", "dpn4_64"),
        "DPN2_hrnet": printed(evidence, "table-6", "dpn2_hrnet", "ap"),
    }
    deficits = {name: behind("table-6", "ap", COCO_RIVALS, ours) for name, ours in coco.items()}
    told = "; ".join(f"{deficit.text} ({name})" for name, deficit in deficits.items())
    text = f"behind the best of Table VI: {told}; of Table VII: {mpii.text}"
    checks = [close_behind([deficit, mpii], text) for deficit in deficits.values()]
    return checks[0] if len({check.holds for check in checks}) == 1 else Check(text, None)


def _fewer_and_lower(parameters: Cost, cost: Cost) -> Recompute:
    return both(
        each_share(at_most(MUCH), "table-6", "dpn4_64", COCO_RIVALS, (parameters,)),
        each_share(at_most(Fraction(1)), "table-6", "dpn4_64", COCO_RIVALS, (cost,)),
    )


def _eight_times(_: Evidence) -> Check:
    return Check("three layers of stride 2: 2^3 = 8 per axis, 64 in pixels", dilation.jump_after_strided(4, 2) == 8)


CLAIMS = (
    Claim(
        id="field-grows-multiplicatively",
        quotation="enlarge the receptive field multiplicatively to extract high-level-semantic information",
        place="Abstract",
        paper=_eq6_growth,
        measured=_counted_growth,
        note="Read as: one more layer in a module at least doubles the field.",
    ),
    Claim(
        id="avoids-gridding",
        quotation="avoid the gridding issue of dilated convolution",
        place="Abstract",
        paper=unchecked("the paper gives no number"),
        measured=complete,
        note="Gridding as Section III-A has it: pixels inside the receptive field that do not contribute.",
    ),
    Claim(
        id="competitive-on-both",
        quotation="competitive performance to the state-of-the-art methods over two challenging benchmark datasets",
        place="Abstract; Tables VI, VII",
        paper=_competitive,
        note="Competitive: behind by no large margin. Which network is meant decides it, and the paper does not say.",
    ),
    Claim(
        id="figure-2-as-subsampling",
        quotation="It is obvious that DPM can enlarge RF multiplicatively as subsampling",
        place="Fig. 2, caption",
        paper=_as_subsampling,
        measured=_as_subsampling_counted,
    ),
    Claim(
        id="reduced-considerably",
        quotation="with DPN, computation cost and parameter consumption can be reduced considerably",
        place="Sec. I, Table VI",
        paper=each_share(at_most(MUCH), "table-6", "dpn4_64", COCO_RIVALS, AS_PRINTED),
        measured=each_share(at_most(MUCH), "table-6", "dpn4_64", COCO_RIVALS, AS_MEASURED),
        note="DPN4_64 against the cheapest of Table VI. Considerably: to at most half. The conclusion says it again.",
    ),
    Claim(
        id="considerably-fewer",
        quotation="it contains considerable fewer parameters and lower computation cost",
        place="Sec. I",
        paper=_fewer_and_lower(*AS_PRINTED),
        measured=_fewer_and_lower(*AS_MEASURED),
        note="DPN4_64 against the cheapest of Table VI. Considerably fewer: at most half; the cost only has to be "
        "lower.",
    ),
    Claim(
        id="sbl-eight-times",
        quotation="enlarge the resolution of low-resolution high-level-semantic features by eight times",
        place="Sec. II",
        paper=_eight_times,
        note="Times are counted per axis here.",
    ),
    Claim(
        id="modules-grow-multiplicatively",
        quotation="which enlarges receptive fields multiplicatively as up-sampling",
        place="Sec. II",
        paper=_modules_growth,
        measured=_modules_counted,
        note="Said of DPN, which stacks modules: inside a module the field doubles with each layer, but each further "
        "module adds the same number of pixels.",
    ),
)
