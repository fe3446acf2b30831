"""What `python -m analysis gridding NAME --measured` adds to the exact answer."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.effective_fields.few_draws import FEW_IMAGES
from analysis.effective_fields.gridding_records import Protocol, around_middle, networks, pictures
from analysis.effective_fields.untraced_axes import untraced
from analysis.receptive_fields.field_rows import Row
from analysis.receptive_fields.field_text import say, show_rows
from analysis.receptive_fields.live_taps import LayerTaps
from analysis.receptive_fields.receptive_field import FieldGraph
from bench.subject import Subject
from dpn.program.cli import message
from dpn.program.progress import progress

if TYPE_CHECKING:
    from analysis.effective_fields.gridding_measured import Measured

Pairs = Sequence[tuple[str, str]]


def measured_gridding(
    subject: Subject, graph: FieldGraph, pairs: Pairs, protocol: Protocol, trained: Path | None
) -> dict[str, Any]:
    """What gradients say of some maps of a network with weights, ready for JSON, with a progress bar.

    Args:
        subject: the network.
        graph: its wiring.
        pairs: later and earlier map of each question.
        protocol: which weights and images.
        trained: a file of weights, instead of random ones.
    """
    from analysis.effective_fields.effective import shapes_read
    from analysis.effective_fields.gridding_measured import Watched, high_shares_out, measured_neighbours
    from analysis.effective_fields.measured_taps import measured_taps

    questions = [
        around_middle(graph, of, [to for last, to in pairs if last == of])
        for of in dict.fromkeys(of for of, _ in pairs)
    ]
    images = pictures(subject, protocol)
    nets = list(networks(subject, protocol, images, trained))
    doubts: dict[str, str] = {}
    for asked in questions:
        doubts |= untraced(graph, shapes_read(nets[0], images, asked.of, asked.to))
    height, width = subject.input_hw
    image = Watched(units=((height // 2, width // 2),), to=_reached(graph, pairs))
    with progress(subject.name, (len(questions) + 2) * len(images) * len(nets)) as bar:
        rows = []
        for asked in questions:
            cosines, shares = measured_neighbours(nets, images, asked, done=bar.advance)
            rows += [
                {"of": asked.of, "to": one.map, "cosine": _told(one), "high_share_in": _told(other)}
                for one, other in zip(cosines[:-1], shares[:-1], strict=True)
            ]
        out = _or_reason(lambda: [
            {"map": row.map, "high_share_out": _told(row)} for row in high_shares_out(nets, images, image)[:-1]
        ])  # fmt: skip
        bar.advance(len(images) * len(nets))
        taps = _or_reason(lambda: [asdict(row) for row in measured_taps(nets[0], images)])
        bar.advance(len(images) * len(nets))
    return {
        "weights": protocol.weights(subject, trained), "source": protocol.source, "images": len(images),
        "networks": len(nets), "neighbours": rows, "responses": out, "taps": taps, "untraced": doubts,
    }  # fmt: skip


def _reached(graph: FieldGraph, pairs: Pairs) -> list[str]:
    """Every map that is asked about, once and in order, but for the image."""
    names = {graph.index(name): name for of, to in pairs for name in (of, to) if name != "input"}
    return [names[index] for index in sorted(names)]


def _told(row: "Measured") -> Row:
    return {"value": row.value, "interval": [row.interval.low, row.interval.high]}


def _or_reason(measure: Callable[[], list[Row]]) -> list[Row] | str:
    """The rows, or why a network of somebody's own cannot be measured in this way."""
    try:
        return measure()
    except (RuntimeError, ValueError, KeyError) as error:
        return message(error)


def show_measured(told: dict[str, Any], taps: Sequence[LayerTaps]) -> None:
    """Prints what `measured_gridding` found beside the wiring's live taps."""
    one = told["networks"] == 1
    networks = "one network" if one else f"{told['networks']} networks"
    intervals = f"intervals, over {told['images']} images, that hold less than 95 %" if (
        one and told["images"] < FEW_IMAGES
    ) else "95 % intervals"  # fmt: skip
    say(
        f"\nmeasured by gradients: weights {told['weights']}, {networks}, {told['images']} images ({told['source']}); "
        f"values with {intervals}"
    )
    show_rows(
        (_flat(row) for row in told["neighbours"]),
        "cosine: of the gradients in the map `to` of the middle unit of `of` and of its neighbours, below and right\n"
        "high share: of the gradients' energy above half the Nyquist frequency; a single point has 0.75",
    )
    _show_or_say("responses to the middle of the image", told["responses"], _flat)
    wired = {row.layer: row.live_taps for row in taps}

    def beside(row: Row) -> Row:
        return {"layer": row["layer"], "taps": row["taps"], "wired": wired.get(row["layer"]), "live": row["live_taps"]}

    found = told["taps"]
    if not isinstance(found, str):
        found = [row for row in found if row["live_taps"] < wired.get(row["layer"], row["taps"])]
    title = "layers whose weights get fewer gradients than their taps could" if found else (
        "gradients reach every tap that the wiring lets them reach"
    )  # fmt: skip
    _show_or_say(title, found, beside)


def _show_or_say(title: str, found: list[Row] | str, shape: Callable[[Row], Row]) -> None:
    if isinstance(found, str):
        say(f"\n{title}: not measured: {found}")
    else:
        show_rows(map(shape, found), title)


def _flat(row: Row) -> Row:
    """A row for print, in which a value and its interval are one text."""

    def text(value: dict[str, Any]) -> str:
        low, high = value["interval"]
        return f"{value['value']:.3f} ({low:.3f} to {high:.3f})"

    return {name: text(value) if isinstance(value, dict) else value for name, value in row.items()}
