"""Which commit of this project runs, and which code, for whatever is kept with its results. Imports no torch."""

import hashlib
import os
import re
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = ("bench", "dpn")
"""What a process that measures may import of ours."""

GIT = ("git", "--git-dir=.git")
"""In `ROOT`, asks this project's own repository; git by itself would look for another in the folders around it."""


@cache
def commit() -> tuple[str, bool]:
    """The checkout's commit and whether tracked files outside results/ differ from it; "unknown" outside a checkout.

    They are taken to differ where git does not say. Where there is no git to ask, as in a copy of the files on another
    machine or inside another project, the environment variable DPN_COMMIT says of which commit they are, unchanged: 7
    to 40 hexadecimal digits.

    Raises:
        ValueError: DPN_COMMIT is asked and is no such name.
    """
    head = _git("rev-parse", "HEAD")
    if head is None:
        told = os.environ.get("DPN_COMMIT", "").lower()
        if told and not re.fullmatch("[0-9a-f]{7,40}", told):
            raise ValueError(f"DPN_COMMIT={told!r} is no commit; set it to what git rev-parse HEAD says where the "
                             "files are from, or unset it")  # fmt: skip
        return told or "unknown", not told
    return head, _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results") != ""


@cache
def code() -> str:
    """Twelve hexadecimal digits of every module of `PACKAGES` as it was when first asked, whatever git knows of it.

    Commits that change none of them have one code; an edit that is not committed, or a new module, makes another.
    """
    digest = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        with suppress(OSError):  # it was removed meanwhile
            content = path.read_bytes()
            digest.update(b"%s %d\n" % (os.fsencode(path.relative_to(ROOT)), len(content)) + content)
    return digest.hexdigest()[:12]


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run([*GIT, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
