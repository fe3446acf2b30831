"""Which commit of this project runs, for whatever is kept with its results. Imports no torch."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def commit() -> tuple[str, bool]:
    """The checkout's commit and whether tracked files outside results/ differ from it; "unknown" outside a checkout."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return "unknown", True
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    return head, bool(changes)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
