"""An input's height and width as everybody writes them: 256x192. Imports no torch."""

import re
from collections.abc import Iterable

from dpn.factories import NetworkError


def parse_hw(text: str) -> tuple[int, int]:
    """Height and width from "256x192".

    Example:
        >>> parse_hw("256x192")
        (256, 192)

    Raises:
        NetworkError: the text has another form, or OpenCV could not crop to that size.
    """
    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text, re.ASCII)
    if match is None:
        raise NetworkError(
            "an input size is HEIGHTxWIDTH in pixels, such as 256x192, of 9999 at most and without channels, of which "
            f"every image has 3, not {text!r}"
        )
    return int(match[1]), int(match[2])


def asked_hw(text: str | None) -> tuple[int, int] | None:
    """As `parse_hw`; None where nobody asked for a size.

    Example:
        >>> asked_hw("256x192"), asked_hw(None)
        ((256, 192), None)
    """
    return parse_hw(text) if text else None


def hw_text(hw: Iterable[int]) -> str:
    """What `parse_hw` reads.

    Example:
        >>> hw_text((256, 192))
        '256x192'
    """
    return "x".join(map(str, hw))
