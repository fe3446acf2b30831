"""So many of something, in words. Imports no torch."""

from collections.abc import Sequence


def so_many(number: int, noun: str, nouns: str = "") -> str:
    """The number and what it counts, whose plural has an s if it is not given.

    Example:
        >>> so_many(1, "round"), so_many(0, "round"), so_many(1200, "process", "processes")
        ('1 round', '0 rounds', '1,200 processes')
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def some(names: Sequence[str], most: int = 3, between: str = ", ") -> str:
    """Names, of many the first and how many more.

    Example:
        >>> some(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return between.join(names[:most]) + more
