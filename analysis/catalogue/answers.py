"""The report's sentences that hold numbers, all computed: each chapter's answer, the findings, what is missing."""

from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

from analysis.claims.audit import VERDICTS, audit
from analysis.evidence import Evidence
from analysis.field_tables import fields
from analysis.field_tables import neighbours as gridding_table
from analysis.paper import architecture, costs, one_unit
from analysis.paper.costs import Met
from analysis.tabular.cost_cells import GIMACS
from analysis.timing import speed_answer
from analysis.trained import trained_answer
from bench.counts.conventions import CONVENTIONS, round_printed
from dpn import dilation

UNMEASURED = "Nothing is measured yet; run: python -m bench measure --suite paper"
UNCOUNTED = "No network is counted in both readings of Table I; run: python -m bench measure --suite paper."
HOLDS, AS_PRINTED, FAILS, OPEN = VERDICTS


def digits_met(evidence: Evidence) -> Met:
    """How many published costs of DPN networks the readings of Table I reproduce."""
    return costs.met(costs.table_readings(evidence).rows)


def verdicts(evidence: Evidence) -> Counter[str]:
    """How many of the paper's claims got each verdict."""
    return Counter(finding.verdict for finding in audit(evidence))


def measured(evidence: Evidence) -> int:
    """Networks of the zoo whose count is current and complete."""
    return sum((record := evidence.record(name, "macs")) is not None and record.complete for name in evidence.networks)


def cards(evidence: Evidence) -> list[tuple[str, str]]:
    """Number and label of the summary's cards."""
    met, found = digits_met(evidence), verdicts(evidence)
    left = f" ({met.counted} of {met.published} are counted)" if met.counted < met.published else ""
    digits = [
        (f"{met.costed} of {met.counted}", f"published DPN costs reproduced by Table I read as they imply{left}"),
        (f"{met.printed} of {met.counted}", "reproduced by Table I to the letter"),
    ]
    return [
        *(digits if met.counted else [("none", f"of {met.published} published DPN costs counted in both readings")]),
        (f"{measured(evidence)} of {len(evidence.networks)}", "networks counted, to the last multiply-add"),
        (f"{found[HOLDS]} of {found.total()}", "quantitative claims that hold"),
        (str(found[AS_PRINTED]), "claims that hold by the printed numbers alone"),
        (str(found[FAILS]), "claims that do not hold"),
        *speed_answer.cards(evidence),
    ]


def summary(evidence: Evidence) -> str:
    """What the whole report comes to."""
    met, found = digits_met(evidence), verdicts(evidence)
    digits = (
        f"Of {met.words}, {met.costed} are reproduced once Table I is given one more 1x1 convolution and, at high "
        f"resolution, the head's upsampling, and {met.printed} to the letter."
    )
    return (
        f"{digits if met.counted else UNCOUNTED} Of {found.total()} quantitative claims in the paper, {found[HOLDS]} "
        f"hold, {found[AS_PRINTED]} by the printed numbers but not as measured, {found[FAILS]} do not, and "
        f"{found[OPEN]} stay open, by rounding or for want of numbers or words that decide them."
    )


def network(evidence: Evidence) -> str:
    """Chapter 2."""
    wide, slim = (evidence.record(name, "params") for name in ("dpn4_64", "dpn4_32"))
    if wide is None or slim is None:
        return UNMEASURED
    cells = [cell for row in architecture.table_1(evidence).rows for cell in row.cells.values()]
    same = sum(cell.state == "match" for cell in cells)
    different = sum(cell.state == "differs" for cell in cells)
    spelled = (
        f"{same} of the {same + different} entries of Table I read the same in the built networks; one convolution "
        "that the table does not list is there too. "
    )
    reach, ordinary = dilation.rf_pyramid(), dilation.rf_of_schedule(dilation.normal())
    return (
        f"The built DPN4_64 has {int(wide.value):,} parameters and DPN4_32 {int(slim.value):,}. "
        f"{spelled if same + different else ''}One module reads {reach} positions along each axis (Eq. 6), {ordinary} "
        "with ordinary convolutions."
    )


def gridding(evidence: Evidence) -> str:
    """Chapter 3."""
    return f"{fields.answer(evidence)} {gridding_table.sentence(evidence)}".rstrip()


def cost(evidence: Evidence) -> str:
    """Chapter 4."""
    macs, live = evidence.record("dpn4_64", "macs"), evidence.record("dpn4_64", "live_macs")
    layers = evidence.record("dpn4_64", "layers")
    if macs is None or live is None or layers is None:
        return UNMEASURED
    found = architecture.layers_of(layers)
    modules = sum(layer.macs for layer in architecture.in_stage(found, "dpm"))
    met = digits_met(evidence)
    digits = (
        f"Of {met.words}, Table I read as they imply reproduces {met.costed}, and Table I to the letter {met.printed}."
    )
    return (
        f"DPN4_64 takes {int(macs.value):,} multiply-adds for a 256x192 image, {_gi(evidence, 'dpn4_64')} in units of "
        f"2^30, which is what the paper calls GFLOPs; {_percent(modules, macs.value)} of them are in the modules, and "
        f"{_percent(live.value, macs.value)} of all meet data rather than padding. "
        f"{digits if met.counted else UNCOUNTED}"
    )


def ablations(evidence: Evidence) -> str:
    """Chapter 6."""
    pairs = [("dpn4_64", "dpn4_64_normal"), ("dpn4_32", "dpn4_32_d8"), ("dpn4_32", "dpn4_32_reversed")]
    records = [
        (evidence.record(a, metric), evidence.record(b, metric)) for a, b in pairs for metric in ("params", "macs")
    ]
    if any(a is None or b is None for a, b in records):
        return UNMEASURED
    equal = all(a is not None and b is not None and a.value == b.value for a, b in records)
    outcome = "cost exactly the same" if equal else "do not cost the same"
    shares = {name: _live(evidence, name) for name in ("dpn4_64", "dpn4_64_normal")}
    return (
        f"The networks that Tables II, III and V compare {outcome}, in parameters and in multiply-adds, so their AP "
        f"is not bought with computation. They do differ in live multiply-adds: {shares['dpn4_64']} of DPN4_64's "
        f"meet data, "
        f"{shares['dpn4_64_normal']} of its ordinary counterpart's. {trained_answer.answer(evidence)}"
    )


def claims(evidence: Evidence) -> str:
    """Chapter 8."""
    found = verdicts(evidence)
    return "; ".join(f"{found[verdict]} {_plural(verdict, found[verdict])}" for verdict in VERDICTS) + (
        f": the verdicts on {found.total()} quantitative statements, each recomputed from the paper's own numbers and, "
        "where it can be, from measured ones."
    )


def reproduce(_: Evidence) -> str:
    """Chapter 9."""
    return (
        "Two commands on a fresh machine: make report, make test. Neither needs a data set or a GPU; the first one "
        "downloads the pinned Python packages."
    )


def findings(evidence: Evidence) -> list[str]:
    """What was found that a reader of the paper should know, one sentence each; nothing that no record says."""
    met, sentences = digits_met(evidence), []
    if met.counted:
        sentences.append(
            f"Table I as printed misses {met.counted - met.printed} of {met.words}. One more 1x1 convolution, batch "
            f"norm and ReLU at the modules' resolution, and upsampling kept at high resolution, meet {met.costed}."
        )
    sentences += [*_own_unit(evidence), one_unit.answer(evidence), *speed_answer.findings(evidence)]
    if layers := evidence.record("dpn4_64", "layers"):
        found = [x for x in architecture.layers_of(layers) if x.dilation and max(x.dilation) == max(dilation.pyramid())]
        ratio = Fraction(sum(x.live_macs for x in found), sum(x.macs for x in found))
        sentences.append(
            f"At the paper's default resolution the first dilated layer of each module is a 1x1 convolution in effect: "
            f"exactly {ratio} of its taps meet the 32x24 map, the others only padding."
        )
    return sentences


def _own_unit(evidence: Evidence) -> Iterator[str]:
    """What the paper's "GFLOPs" of its own networks are, where every counted one says so."""
    counted = [
        (by_kind, str(cell.number))
        for cell in costs.published_digits(evidence)
        if cell.metric == "gflops" and (by_kind := evidence.macs_by_kind(cell.subject))
    ]
    gimacs, gmacs = (
        sum(CONVENTIONS[name].printed(by_kind) == printed for by_kind, printed in counted)
        for name in ("gimacs", "gmacs")
    )
    if gmacs < gimacs == len(counted):
        yield (
            "The paper's “GFLOPs” of its own DPNs are multiply-adds divided by 2^30, not operations, and not by 10^9: "
            f"so {gimacs} of {len(counted)} counted costs have the printed digits, against {gmacs} divided by 10^9."
        )


def contradicted(evidence: Evidence) -> list[str]:
    """The paper's statements that do not hold, each with the arithmetic that says so."""
    return [
        f"“{finding.quotation}” ({finding.place}): {finding.paper}"
        for finding in audit(evidence)
        if finding.verdict == FAILS
    ]


def missing(evidence: Evidence) -> list[str]:
    """What the report cannot say, and why."""
    absent = sorted(
        {
            cell.subject
            for name in ("table-6", "table-7")
            for cell in evidence.reported[name].cells.values()
            if cell.subject and cell.subject not in evidence.zoo
        }
    )
    uncounted = [name for name in evidence.networks if evidence.record(name, "macs") is None]
    stale = [name for name in evidence.networks if evidence.found(name, "macs").stale]
    sentences = [
        *trained_answer.unevaluated(evidence),
        *speed_answer.missing(evidence),
    ]
    if absent:
        sentences.append(
            f"Compared networks that are not built here: {', '.join(absent)}; their costs are the paper's."
        )
    if uncounted:
        which = f"Not counted{' or stale' if stale else ''}: {', '.join(uncounted)}"
        sentences.append(f"{which}; run: python -m bench measure --suite paper.")
    sentences += [f"Skipped: {warning}." for warning in evidence.store.warnings()]
    return sentences


def _gi(evidence: Evidence, name: str) -> str:
    by_kind = evidence.macs_by_kind(name)
    return "not measured" if by_kind is None else round_printed(GIMACS.value(by_kind), 3)


def _live(evidence: Evidence, name: str) -> str:
    macs, live = evidence.record(name, "macs"), evidence.record(name, "live_macs")
    return "an unmeasured share" if macs is None or live is None else _percent(live.value, macs.value)


def _percent(part: float, whole: float) -> str:
    return f"{round_printed(100 * Fraction(part) / Fraction(whole), 1)} %"


def _plural(verdict: str, number: int) -> str:
    """The verdict with its verb in the number's form: "1 holds", "14 hold"."""
    return verdict if number == 1 else verdict.replace("holds", "hold").replace("does not", "do not")


ALL: dict[str, Callable[[Evidence], str]] = {
    "summary": summary,
    "network": network,
    "fields": gridding,
    "cost": cost,
    "speed": speed_answer.answer,
    "ablations": ablations,
    "comparison": one_unit.answer,
    "claims": claims,
    "reproduce": reproduce,
}
"""Each chapter's answer, by the name of its notebook."""
