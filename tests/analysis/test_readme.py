"""The README's measured numbers are those of the committed records: a sentence that records have left behind fails."""

import re
from collections import Counter
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from torch import nn

from analysis.catalogue.answers import AS_PRINTED, FAILS
from analysis.claims.audit import audit
from analysis.effective_fields.gridding_records import LIGHT
from analysis.evidence import Evidence
from analysis.field_tables.fields import of_schedule
from analysis.field_tables.neighbours import TRAINED, networks
from analysis.paper import costs, one_unit
from analysis.timing import speed, speed_answer, timings
from analysis.timing.speed_cells import PERCENT
from analysis.timing.speed_saved import savings
from analysis.trained.orderings import corrected, counted, once, over_seeds
from analysis.trained.seeds import ordering
from analysis.trained.trained_runs import SEEDS, runs
from bench.counts.macs import count
from bench.records.record import METRICS
from bench.sweeps.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
README = " ".join(TEXT.split())


def test_how_much_time_fewer_multiply_adds_bought(committed: Evidence) -> None:
    by_machine = [
        [one for one in savings(committed, machine) if (one.ours, one.other) == ("dpn4_64", "hrnet_w32")]
        for machine in timings.machines(committed, "latency")
    ]
    found = list(chain.from_iterable(by_machine))

    def ends(backends: tuple[str, ...]) -> str:
        ratios = [PERCENT * one.times.ratio for one in found if one.setting.backend in backends]
        return f"{min(ratios):.0f} to {max(ratios):.0f} %"

    assert f"with {PERCENT * found[0].macs_share:.0f} % of HRNet-W32's multiply-adds" in README
    named = ("eager", "onnxruntime", "openvino", "channels_last", "compile")
    assert {one.setting.backend for one in found} == set(named)
    counts = [sum(any(one.setting.backend == name for one in of) for of in by_machine) for name in named]
    assert counts == [3, 2, 2, 1, 1]
    assert (
        f"takes {ends(named[:1])} of its time in eager PyTorch on three EPYC processors of two cores, "
        f"{ends(named[1:3])} in ONNX Runtime and OpenVINO on two of them, and on one {ends(named[3:4])} with "
        f"channels_last and {ends(named[4:])} compiled"
    ) in README
    intervals = [one.times.interval for one in found]
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    assert f"with the slack for what was not, reach from {PERCENT * low:.0f} to {PERCENT * high:.0f} %." in README
    together = [one for one in found if one.together]
    assert {(one.setting.backend, one.decides) for one in together} == {("eager", True)}
    shares = " and ".join(f"{PERCENT * one.times.ratio:.0f}" for one in together)
    low, high = min(one.times.interval.low for one in together), max(one.times.interval.high for one in together)
    said = f"{shares} % (intervals from {PERCENT * low:.0f} to {PERCENT * high:.0f} %)"
    assert f"in eager PyTorch, the two were timed in turns: {said}" in README


def test_how_many_processes_a_time_comes_from(committed: Evidence) -> None:
    counts = Counter(
        len(record.detail["processes"]) for record in committed.store.records
        if record.metric == "latency" and record.metric_version == METRICS["latency"].version
    )  # fmt: skip
    assert 2 * counts[5] > counts.total()
    assert Plan().processes == 6
    assert "six by default and five for most times in the report" in README


def test_what_memory_they_bought(committed: Evidence) -> None:
    answer = speed_answer.answer(committed)
    shares = [
        re.findall(rf"dpn4_64 takes ([\d to]+ %) of {other}'s memory at the peak", answer)
        for other in ("hrnet_w32", "sbl_r50")
    ]
    assert [len(found) for found in shares] == [1, 1]
    (of_hrnet,), (of_sbl,) = shares
    assert f"DPN4_64 takes {of_hrnet} of HRNet-W32's memory and {of_sbl} of SimpleBaseline's (ResNet-50)" in README
    table = speed.table("table-memory", committed)
    for column, words in (
        ("eager_2", "{} MB in eager PyTorch with two threads"),
        ("weights", "Weights are {} MB of that"),
    ):
        cells = [table.cell(name, column).value for name in ("dpn4_64", "hrnet_w32", "sbl_r50")]
        first, second, third = (f"{cell:.0f}" for cell in cells if cell is not None)
        assert words.format(f"{first}, {second} and {third}") in README
    beside = {
        f"{(record.detail['tensor_peak_bytes'] - record.detail['weights_bytes']) / 1e6:.1f}"
        for record in committed.store.current()
        if record.metric == "memory" and record.subject in ("dpn4_64", "hrnet_w32", "sbl_r50")
        and record.protocol["backend"] == "eager" and record.protocol["batch"] == 1
    }  # fmt: skip
    assert len(beside) == 1
    assert f"the tensors beside them are {beside.pop()} MB at the peak of each." in README


def test_what_became_of_the_claims(committed: Evidence) -> None:
    findings = {finding.id: finding for finding in audit(committed)}
    found = Counter(finding.verdict for finding in findings.values())
    least = findings["beats-stacked-by-far"].paper.rpartition(" = ")[2]
    assert f'a "large margin" over constant dilations (Table III), which is {least} points at its smallest' in README
    default, wide, _ = re.findall(r" = ([\d.]+) \(", findings["competitive-on-both"].paper)
    assert f"the DPN that is {default} points of AP behind or the one that is {wide} behind" in README
    assert f"**Of {found.total()} quantitative claims, {found[FAILS]} do not hold**" in README
    assert f"{found[AS_PRINTED]} more hold by its printed numbers alone" in README


def test_what_the_published_costs_say(committed: Evidence) -> None:
    met = costs.met(costs.table_readings(committed).rows)
    assert f"Table I reproduces {met.printed} of the {met.published} published DPN costs." in README
    assert f"it reproduces all {met.costed}." in README
    assert met.costed == met.counted == met.published


def test_what_one_unit_says(committed: Evidence) -> None:
    """More than 13 % of PIL; SimpleBaseline cheaper than CPN and HRNet-W32, by the count as by its rank."""
    share = one_unit.table("table-7", committed).cell("pil", "share").text
    assert f"more than {share.partition('.')[0]} % of PIL's computation" in README
    coco = one_unit.costed(committed, "table-6")
    cheaper = {row for row, cost in coco.items() if coco["sbl_r50"].macs < cost.macs}
    dearer = {row for row, cost in coco.items() if coco["sbl_r50"].printed > cost.printed}
    assert {"cpn_r50", "hrnet_w32"} <= cheaper & dearer
    assert "SimpleBaseline is cheaper than CPN and HRNet-W32, not more expensive" in README


def test_what_share_of_the_processor_is_used(committed: Evidence) -> None:
    def share(subject: str, machine: str, backend: str) -> str:
        shares = [
            float(record.detail["roofline"]["share"])
            for record in committed.store.records
            if record.machine == machine and record.metric == "latency" and record.subject == subject
            and record.protocol["batch"] == record.protocol["threads"] == 1 and record.protocol["backend"] == backend
        ]  # fmt: skip
        return f"{PERCENT * shares[-1]:.0f}" if shares else ""

    def by_processor(subject: str, backend: str) -> list[str]:
        """In the order of what DPN4_64 uses of each."""
        machines = [one for one in timings.machines(committed, "latency") if share("dpn4_64", one, backend)]
        ordered = sorted(machines, key=lambda one: float(share("dpn4_64", one, backend)))
        return [share(subject, machine, backend) for machine in ordered]

    ours, theirs = (by_processor(subject, "eager") for subject in ("dpn4_64", "hrnet_w32"))
    assert f"DPN4_64 uses {', '.join(ours[:-1])} or {ours[-1]} % of the arithmetic" in README
    assert f"by processor, and HRNet-W32 {', '.join(theirs[:-1])} or {theirs[-1]} %." in README
    ours, theirs = (by_processor(subject, "onnxruntime") for subject in ("dpn4_64", "hrnet_w32"))
    assert f"In ONNX Runtime it is {' and '.join(ours)} %, against {' and '.join(theirs)} %." in README


def test_what_one_to_four_trained_modules_reach(committed: Evidence) -> None:
    found = runs(committed, "quick").by_network
    needed = set(runs(committed, "quick").needed(committed))

    def cell(network: str) -> str:
        """A mean of three seeds, or how many there are; a dash where none is trained; empty for none of the paper's."""
        values = [PERCENT * float(record.value) for record in found.get(network, {}).values()]
        if not values:
            return "–" if network in needed else ""
        of = "" if len(values) == SEEDS else f" ({len(values)} seed{'s' * (len(values) > 1)})"
        return f"{mean(values):.1f}{of}"

    schemes = ("", "_reversed", "_normal", "_d2", "_d4", "_d6", "_d8", "_highres")
    rows = [[cells.strip() for cells in line.strip().split("|")[1:-1]] for line in TEXT.splitlines() if "  | " in line]
    assert rows[0] == ["modules", "DPM", "reversed", "ordinary", "D = 2", "D = 4", "D = 6", "D = 8", "at 64x48"]
    assert rows[1:] == [[str(n), *(cell(f"dpn{n}_32{scheme}_lite") for scheme in schemes)] for n in range(1, 5)]
    for better, worse, words in (
        ("dpn1_32_lite", "dpn1_32_d2_lite", "DPM leads D = 2 by {}."),
        ("dpn1_32_reversed_lite", "dpn1_32_lite", "the interval of the difference, {}, includes zero"),
        ("dpn2_32_lite", "dpn2_32_normal_lite", "lead over ordinary convolutions, {}, decides nothing"),
    ):
        compared = ordering(*(
            {seed: PERCENT * float(record.value) for seed, record in found[name].items()} for name in (better, worse)
        ))  # fmt: skip
        assert compared is not None
        assert compared.interval is not None
        lead = f"{compared.mean:.1f} ± {compared.interval.high - compared.mean:.1f}"
        assert words.format(lead) in README
        assert (compared.interval.low > 0) == words.startswith("DPM leads")
    for words, pairs in (
        ("one DPM leads every constant dilation in all three seeds", [("", f"_d{rate}") for rate in (2, 4, 6, 8)]),
        ("is ahead here in all three seeds", [("_reversed", "")]),
    ):
        assert words in README
        for better, worse in pairs:
            sides = (found[f"dpn1_32{scheme}_lite"] for scheme in (better, worse))
            first, second = ({seed: float(record.value) for seed, record in side.items()} for side in sides)
            assert [first[seed] > second[seed] for seed in second] == [True] * SEEDS


def test_which_of_the_papers_orderings_hold_here(committed: Evidence) -> None:
    found = once(over_seeds(committed, runs(committed, "quick")))
    assert f"In all, {counted(found)}. {corrected(found)} Table IV" in README


def test_what_neighbours_have_in_common_at_the_input(committed: Evidence) -> None:
    light = {one.schedule: one.entering(TRAINED) for one in networks(committed) if one.subject in LIGHT}
    cosines = []
    for schedule in ("reversed", "DPM"):
        assert of_schedule(schedule).maps[0].overlap == pytest.approx(0.99, abs=5e-3)
        shown = light[schedule]
        assert shown is not None
        cosines.append(f"{PERCENT * shown.value:.0f}")
    assert "At a module's input both share 99 %, and by the squared gradients of one trained network each" in README
    assert f"have more in common there, {' against '.join(cosines)} %." in README


def test_how_long_a_run_takes_and_how_far_its_seeds_lie_apart(committed: Evidence) -> None:
    found = runs(committed, "quick").by_network.values()
    minutes = [float(record.detail["seconds"]) / 60 for by_seed in found for record in by_seed.values()]
    told = f"{min(minutes):.0f} to {max(minutes):.0f} minutes"
    assert f"a run took {told} on two shared cores" in README
    assert f"# {told} a run" in README
    values = [[PERCENT * float(record.value) for record in by_seed.values()] for by_seed in found]
    assert f"seeds of one network differ by up to {max(max(one) - min(one) for one in values):.0f}." in README


def test_the_networks_of_ones_own_have_the_dilations_that_are_written_there() -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    mine: dict[str, Any] = {}
    exec(next(block for language, block in blocks if language == "python"), mine)
    with torch.device("meta"):
        nets = [mine[name]() for name in ("wide", "wide_lite")]
    for net in nets:
        found = {module.dilation[0] for module in net.modules() if isinstance(module, nn.Conv2d)}
        assert found == set(mine["DILATIONS"])
    assert count(mine["net"](), (1, 3, 256, 192)).complete
    assert f"--dilations {','.join(map(str, mine['DILATIONS']))} " in TEXT
