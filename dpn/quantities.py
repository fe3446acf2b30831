"""So many of something, in words. Imports nothing."""


def so_many(number: int, noun: str, nouns: str = "") -> str:
    """The number and what it counts, whose plural has an s if it is not given.

    Example:
        >>> so_many(1, "round"), so_many(0, "round"), so_many(1200, "process", "processes")
        ('1 round', '0 rounds', '1,200 processes')
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
