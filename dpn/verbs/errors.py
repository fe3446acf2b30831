"""The verb `errors` of `python -m dpn`: what is wrong with the joints of a results file, and what it costs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dpn.cli import Json
from dpn.progress import progress
from dpn.verbs.score_table import print_table

if TYPE_CHECKING:
    from dpn.metrics.error_report import Group, Kinds, Report


def errors(annotations: Path, results: Path, as_json: Json = False) -> None:
    """Says what is wrong with the joints in a COCO results file, and what AP would be without it.

    After Ronchi and Perona (ICCV 2017): each labelled joint of each person who was located (at an OKS of 0.1) is good
    (a similarity of 0.85 to its place), a jitter (0.5), an inversion (nearest to its left or right partner), a swap
    (nearest to another person's) or a miss.

    Args:
        annotations: a COCO annotation file, or one inside an archive.
        results: predictions for its images, in COCO's format for keypoints.
        as_json: print one object, see `dpn.metrics.error_report.Report`: counts, and scores from 0 to 1.
    """
    from dpn.data.coco_file import read_coco
    from dpn.metrics.coco import read_results
    from dpn.metrics.error_report import report

    truth = read_coco(annotations)
    rows = read_results(results, truth)
    with progress("scores", after_s=1.0) as told:
        found = report(truth, rows, told)
    if as_json:
        print(json.dumps(found.as_dict()))
        return
    print(f"{found.people:,} people in {found.images:,} images; {found.found:,} found, at most 20 of an image")
    print(f"{found.located:,} of them are somebody, at an OKS of 0.1, and {found.nobody:,} nobody")
    _show_kinds(found)
    _show_groups(found)
    _show_corrections(found)


HEADS = ("joints", "good", "jitter", "inversion", "swap", "miss", "similarity")


def _show_kinds(found: "Report") -> None:
    print("labelled joints of those located, in percent, and their mean similarity to their places")
    rows = {**found.joints, "all joints": found.total, **{f"  {name}": one for name, one in found.visibility.items()}}
    print_table([["", *HEADS], *([name, *_cells(kinds)] for name, kinds in rows.items())])


def _show_groups(found: "Report") -> None:
    print("by kind of person: located, average recall (AR) of them alone, and their joints as above")
    groups: Mapping[str, dict[str, Group]] = {
        "labelled joints": found.labelled, "size": found.size, "overlapping boxes": found.overlaps
    }  # fmt: skip
    rows = [["", "people", "located", "AR", *HEADS]]
    for title, members in groups.items():
        rows.append([title] + [""] * (len(rows[0]) - 1))
        for name, group in members.items():
            located = group.located / group.people if group.people else None
            rows.append([f"  {name}", f"{group.people:,}", _percent(located), _percent(group.AR), *_cells(group.kinds)])
    print_table(rows)


def _show_corrections(found: "Report") -> None:
    print("AP if errors of a kind were corrected, as far as it is theirs, or exactly; in order: with those above")
    heads = ["", "alone", "in order", "alone, exactly", "in order, exactly"]
    rows = [heads, ["as it is"] + [_percent(found.scores["AP"])] * 4]
    for name, one in found.corrected.items():
        numbers = one.alone, one.in_order, one.alone_exactly, one.in_order_exactly
        rows.append([name, *(_percent(number["AP"]) for number in numbers)])
    print_table(rows)


def _cells(kinds: "Kinds") -> list[str]:
    counts = kinds.good, kinds.jitter, kinds.inversion, kinds.swap, kinds.miss
    similarity = "-" if kinds.similarity is None else f"{kinds.similarity:.3f}"
    return [
        f"{kinds.joints:,}",
        *(_percent(count / kinds.joints if kinds.joints else None) for count in counts),
        similarity,
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
