"""Twelve hexadecimal digits that stand for what they are made from. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest_of(plain: Mapping[str, Any]) -> str:
    """Of plain data, in whatever order its names come.

    Example:
        >>> digest_of({"a": 1, "b": [2]}), digest_of({"b": [2], "a": 1}) == digest_of({"b": (2,), "a": 1})
        ('0855bfc20eb6', True)
    """
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """Of a file's bytes: the first digits of their SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
