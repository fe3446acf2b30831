"""Words of the paper's tables as ours say them."""

import re

from bench.records.reported import Reported


def short_name(printed: str) -> str:
    """A method's name without citation and without "(ours)".

    Example:
        >>> short_name("HRNet-w32 [9]"), short_name("DPN4_64 (ours)")
        ('HRNet-w32', 'DPN4_64')
    """
    return re.sub(r"\s*(\[\d+\]|\(ours\))", "", printed)


def word_of(cell: Reported) -> str:
    """A label cell of a printed row, for the label of ours."""
    return f"{cell.printed} epochs" if cell.metric == "epochs" else cell.printed.strip("-")
