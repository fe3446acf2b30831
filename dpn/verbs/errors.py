"""The verb `errors` of `python -m dpn`: what is wrong with the joints of a results file, and what it costs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dpn.metrics.keypoint_errors import KINDS
from dpn.metrics.resampling import Draws, Interval
from dpn.program.cli import Json, note
from dpn.program.progress import progress
from dpn.verbs.score import Drawn, say_drawn
from dpn.verbs.score_table import print_table

if TYPE_CHECKING:
    from dpn.metrics.error_report import Group, Kinds, Report


def errors(
    annotations: Path, results: Path, draws: Drawn = Draws(), as_json: Json = False  # noqa: B008 - frozen
) -> None:  # fmt: skip
    """Says what is wrong with the joints in a COCO results file, and what AP would be without it.

    After Ronchi and Perona (ICCV 2017): each labelled joint of each person who was located (at an OKS of 0.1) is good
    (a similarity of 0.85 to its place), a jitter (0.5), an inversion (nearest to its left or right partner), a swap
    (nearest to another person's) or a miss. Shares, recalls, AP and its gains have intervals of 95 % from resamples of
    the images, those of score coco.

    Args:
        annotations: a COCO annotation file, or one inside an archive.
        results: predictions for its images, in COCO's format for keypoints.
        draws: the resamples.
        as_json: print one object, see `dpn.metrics.error_report.Report`: counts, and scores from 0 to 1; with resamples
            intervals, as score coco prints them, of the shares (from 0 to 1) of what is counted, AR, AP and gains.
    """
    from dpn.data.coco_file import read_coco
    from dpn.metrics.coco_results import lacking, read_results
    from dpn.metrics.error_report import report

    truth = read_coco(annotations)
    rows = read_results(results, truth)
    note(lacking(results, truth, rows))
    with progress("scores", after_s=1.0) as told:
        found = report(truth, rows, told, draws)
    if as_json:
        print(json.dumps(found.as_dict()))
        return
    print(f"{found.people:,} people in {found.images:,} images; {found.found:,} found, at most 20 of an image")
    print(f"{found.located:,} of them are somebody, at an OKS of 0.1, and {found.nobody:,} nobody")
    _show_kinds(found)
    _show_groups(found)
    _show_corrections(found)
    say_drawn(found.drawn)


Cell = tuple[str, Interval | None]
"""What is shown of a number, and its interval."""


def _show_kinds(found: "Report") -> None:
    print("labelled joints of those located: percent that are so, and mean similarity")
    rows = [["", "joints", *KINDS, "mean"]]

    def add(label: str, kinds: "Kinds", *name: str) -> None:
        shares = {kind: getattr(kinds, kind) / kinds.joints if kinds.joints else None for kind in KINDS}
        cells = [(_percent(share), found.intervals.get((*name, kind))) for kind, share in shares.items()]
        mean = "-" if kinds.similarity is None else f"{kinds.similarity:.3f}"
        rows.extend(_with_intervals(label, [(f"{kinds.joints:,}", None), *cells, (mean, None)]))

    for joint, kinds in found.joints.items():
        add(joint, kinds, "joints", joint)
    add("all joints", found.total, "total")
    for seen, kinds in found.visibility.items():
        add(f"  {seen}", kinds, "visibility", seen)
    for title, members in _groups(found).items():
        rows.append([title] + [""] * (len(rows[0]) - 1))
        for name, group in members.items():
            add(f"  {name}", group.kinds, title, name, "kinds")
    print_table(rows)


def _show_groups(found: "Report") -> None:
    print("people by labelled joints, by size and by how many boxes overlap theirs: percent")
    print("located, and average recall (AR) of them alone")
    rows = [["", "people", "located", "AR"]]
    for title, members in _groups(found).items():
        rows.append([title] + [""] * (len(rows[0]) - 1))
        for name, group in members.items():
            located = _percent(group.located / group.people if group.people else None)
            cells = [
                (f"{group.people:,}", None),
                (located, found.intervals.get((title, name, "located"))),
                (_percent(group.AR), found.intervals.get((title, name, "AR"))),
            ]
            rows += _with_intervals(f"  {name}", cells)
    print_table(rows)


def _groups(found: "Report") -> Mapping[str, Mapping[str, "Group"]]:
    return {"labelled": found.labelled, "size": found.size, "overlaps": found.overlaps}


def _show_corrections(found: "Report") -> None:
    print("AP in percent if errors of a kind were corrected, and its gain; in order: with")
    print("those above; exactly: onto the true place, else as far as the error is theirs")
    ways = {"alone": "alone", "in_order": "in order", "alone_exactly": "alone, exactly",
            "in_order_exactly": "in order, exactly"}  # fmt: skip
    rows = [["", *ways.values()]]
    rows += _with_intervals("as it is", [(_percent(found.scores["AP"]), found.intervals.get(("scores", "AP")))] * 4)
    drawn = found.intervals
    for kind, one in found.corrected.items():
        after = [(_percent(getattr(one, way)["AP"]), drawn.get(("corrected", kind, way, "AP"))) for way in ways]
        gains = [(_percent(found.gains[kind][way], "+"), drawn.get(("gains", kind, way))) for way in ways]
        rows += [*_with_intervals(kind, after), *_with_intervals("  gain", gains, "+")]
    print_table(rows)


def _with_intervals(label: str, cells: Sequence[Cell], sign: str = "") -> list[list[str]]:
    """A row, and below it one of the intervals, if there are any."""
    between = " to " if sign else "-"
    below = [_percent(one.low, sign) + between + _percent(one.high, sign) if one else "" for _, one in cells]
    return [[label, *(text for text, _ in cells)], *([["", *below]] if any(below) else [])]


def _percent(share: float | None, sign: str = "") -> str:
    return "-" if share is None else f"{100 * share:{sign}.1f}"
