"""The verbs `duel` and `trials`: what they print, and their exit codes."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import tyro

from bench.cell import Cell
from bench.machine import environment
from bench.records.record import Record
from bench.records.rows import settings
from bench.records.store import RECORDS, Store
from bench.running import backends
from bench.statistics import Comparison
from bench.subject import resolve
from bench.sweeps.choices import Choices
from bench.sweeps.measuring import open_store
from bench.sweeps.plan import Plan
from bench.verbs.arguments import Setting
from bench.verbs.exit_codes import errors_are_2
from bench.verdicts import copies as copies_verdicts
from bench.verdicts.duel import Duel, Rules, Side, checkout, commit_of, fight
from bench.verdicts.trials import SLOWDOWNS, decided
from bench.verdicts.trials import run as run_trials
from dpn.checkout import commit
from dpn.program.cli import Flag, Json
from dpn.program.progress import progress


@errors_are_2
def duel(
    a: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="A")],
    b: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="B")],
    of: str | None = None,
    choices: Setting = Choices(metric="latency"),  # noqa: B008 - frozen
    rules: Annotated[Rules, tyro.conf.OmitArgPrefixes] = Rules(),  # noqa: B008 - frozen
    gate: Flag = False,
    fail_unjudged: Flag = False,
    as_json: Json = False,
) -> int:
    """Times two networks, or two commits, against each other in turns: is B faster or slower than A?

    Exit code 1 is "slower" with --gate, or "ambiguous" with --fail-unjudged, and 2 every error.

    Args:
        a: a network; with --of, a revision of this project.
        b: another network; with --of, another revision, or the word "here" for the files as they are.
        of: networks to compare at the two revisions, separated by commas.
        choices: how the networks are run; one value each.
        rules: how the duel is fought.
        gate: exit with 1 when B is slower.
        fail_unjudged: exit with 1 when a duel ends ambiguous.
        as_json: print one object a line.
    """
    rules.check()
    fails, failed = {"slower": gate, "ambiguous": fail_unjudged}, False
    with ExitStack() as stack:
        for name, side_a, side_b in _sides(stack, a, b, of, choices):
            of_duel = _described(name, (a, b), (side_a, side_b))  # what is wrong with it, before it is fought
            fought = _shown(name, side_a, side_b, rules)
            failed |= fails.get(fought.comparison().verdict, False)
            _print_duel(of_duel, fought, side_a.cell.device, as_json=as_json)
    return int(failed)


def _shown(name: str, a: Side, b: Side, rules: Rules) -> Duel:
    with progress(name) as bar:

        def tell(done: int) -> None:
            bar(done, rules.rounds)
            if not bar.seen:
                print(f"{name}: round {done} of {rules.rounds} to {rules.most_rounds}", file=sys.stderr)

        return fight(a, b, rules, tell)


def _sides(stack: ExitStack, a: str, b: str, of: str | None, choices: Choices) -> list[tuple[str, Side, Side]]:
    def only(name: str) -> Cell:
        cell = _only_cell(name, choices)
        if (reason := backends.unavailable(cell)) is not None:
            raise ValueError(reason)
        return cell

    if of is None:
        return [(f"{b} against {a}", Side(cell=only(a)), Side(cell=only(b)))]
    folders = [None if revision == "here" else stack.enter_context(checkout(revision)) for revision in (a, b)]
    return [
        (f"{name}: {b} against {a}", *(Side(cell=only(name), folder=folder) for folder in folders))  # type: ignore[misc]
        for name in dict.fromkeys(name.strip() for name in of.split(","))
    ]


def _only_cell(name: str, choices: Choices) -> Cell:
    """The one cell that is timed in turns."""
    if choices.metrics() != ("latency",):
        raise ValueError(f"--metric {choices.metric}: only latency is timed in turns; other metrics are measured by "
                         "python -m bench measure and compared by python -m bench compare")  # fmt: skip
    cells = choices.cells(resolve(name, choices.input_hw()))
    if len(cells) != 1:
        raise ValueError(
            "a duel times one setting; give a single value for --device, --backend, --precision, --batch and --threads"
        )
    return cells[0]


def _described(name: str, names: tuple[str, str], sides: Sequence[Side]) -> dict[str, Any]:
    """What is timed, in which setting and by which code, as its line of JSON begins; says so where inputs differ."""
    if len({side.cell.input_hw for side in sides}) > 1:
        print(f"note: {name}: their inputs differ in size; --input HxW gives both one", file=sys.stderr)
    setting = " against ".join(dict.fromkeys(settings(side.cell.protocol()) for side in reversed(sides)))
    a, b = names
    of_sides = {"a": _of_side(sides[0], a), "b": _of_side(sides[1], b)}
    return {"name": f"{name} ({setting})", "a": a, "b": b, "sides": of_sides, "versions": environment.versions()}


def _of_side(side: Side, name: str) -> dict[str, Any]:
    code, dirty = (commit_of(name), False) if side.folder else commit()
    return {"protocol": side.cell.protocol(), "commit": code, "dirty": dirty}


def _print_duel(of_duel: dict[str, Any], fought: Duel, device: str, *, as_json: bool) -> None:
    found = fought.comparison()
    if as_json:
        answer: dict[str, Any] = of_duel | {
            "verdict": found.verdict, "ratio": found.ratio,
            "interval": [found.interval.low, found.interval.high], "confidence": found.interval.confidence,
            "p": found.p, "effect": found.effect, "rounds": len(fought.rounds), "reason": found.reason,
            "machine": environment.machine(device), "samples": [{"a": x, "b": y} for x, y in fought.rounds],
            "disturbances": fought.disturbances,
        }  # fmt: skip
        print(json.dumps(answer, allow_nan=False))
        return
    print(f"{of_duel['name']}: {found.verdict}; time ratio {found.ratio:.3f} "
          f"[{found.interval.low:.3f}, {found.interval.high:.3f}], {found.reason}")  # fmt: skip


def trials(
    same: int = 200,
    slower: int = 50,
    copies: int = 21,
    network: str = "dpn1_32",
    choices: Setting = Choices(input="64x48", metric="latency", threads="1"),  # noqa: B008 - frozen
    records: Path = RECORDS,
) -> int:
    """Puts the harness to the test here: duels and records of a network and itself, and exact slowdowns.

    It takes about an hour on two cores, can be stopped, and goes on with the same command.

    Args:
        same: duels of the network with itself.
        slower: duels with exact slowdowns of 10 and of 25 %, of each so many.
        copies: of the network, measured in one sweep; every pair of their records is compared. 0 for none.
        network: a small network, for its many processes.
        choices: how it is run; one value each.
        records: the folder that the trials are kept in; those that it has are not fought again.
    """
    if copies:
        copies_verdicts.check(copies)
    cell = _only_cell(network, choices)
    store, wanted = open_store(records, write=True), {1.0: same, **dict.fromkeys(SLOWDOWNS, slower)}
    with progress("trials", sum(wanted.values()) + copies) as bar:

        def tell(done: float, text: str = "") -> None:
            bar.advance(done, text)
            if not bar.seen and (text or done >= 1):
                print(text or f"{done:g} more trials fought", file=sys.stderr)

        added = run_trials(store, cell, wanted, Rules(), tell)
        if copies:
            added += copies_verdicts.measure(store, cell, copies, Plan(), lambda text, done: tell(done, text))
    ours = _newest(store, cell, resolve(network, choices.input_hw()).spec_digest())
    print(f"{added} trials added")
    duels: dict[float, list[Comparison]] = {}
    for record, found in decided(ours):
        duels.setdefault(float(str(record.protocol["true_ratio"])), []).append(found)
    for ratio, comparisons in sorted(duels.items()):
        print(f"duels, true ratio {ratio:g}: {_counted(comparisons)}")
    for one in copies_verdicts.found(ours):
        for ratio in (1.0, *SLOWDOWNS):
            words = "" if ratio == 1 else f", one multiplied by {ratio:g}"
            print(f"pairs of {len(one.records)} copies in one sweep{words}: {_counted(one.comparisons(ratio))}")
    return 0


def _newest(store: Store, cell: Cell, digest: str | None) -> list[Record]:
    """The newest records of a cell here: those of that definition, or by name where only building would tell it."""
    known: Iterable[Record] = (record for record in store.current() if record.subject == cell.subject)
    if digest is not None:
        known = {record.key(): record for record in store.records if record.spec_digest == digest}.values()
    wanted, machine = cell.protocol().items(), environment.machine(cell.device)
    return [r for r in known if r.machine == machine and all(r.protocol.get(k) == v for k, v in wanted)]


def _counted(comparisons: Iterable[Comparison]) -> str:
    """How many comparisons had each verdict."""
    verdicts = Counter(comparison.verdict for comparison in comparisons)
    return ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
