"""Times of which nothing could be said however they differ, and why; most gates pass them. Imports no torch."""

from collections import Counter
from collections.abc import Iterable

from bench.records.rows import TIMES, UNTRUSTED
from bench.statistics import ALPHA, least_p
from bench.verdicts.compare import Compared


def unjudged(entries: Iterable[Compared]) -> str:
    """How many of the times in both sets could not be judged, and why; empty where all could.

    Args:
        entries: of any metrics, with the verdicts of the effect that is asked about.
    """
    times = [entry for entry in entries if entry.base and entry.head and entry.metric in TIMES]
    reasons = Counter(why for entry in times if (why := _why(entry)))
    counted = ", ".join(f"{number} {why}" for why, number in reasons.most_common())
    return f"{reasons.total()} of {len(times)} times could not be judged: {counted}" if reasons else ""


def _why(entry: Compared) -> str:
    """What left a time open before its samples were looked at; empty where that was not so."""
    base, head = entry.base, entry.head
    if entry.verdict != "ambiguous" or base is None or head is None:
        return ""
    if flags := UNTRUSTED & {*base.record.flags, *head.record.flags}:
        return " and ".join(sorted(flags))
    if base.record.metric_version != head.record.metric_version:
        return "by another version of the metric"
    return "of too few processes" if least_p(base.processes, head.processes) > ALPHA else ""
