"""Files of a commit of this project, unpacked beside the checkout. Imports no torch."""

import io
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from dpn.checkout import GIT, ROOT


def unpack(revision: str, paths: Sequence[str], folder: Path, *, instead: str) -> None:
    """Writes files of a commit below a folder.

    Args:
        revision: of this project.
        paths: of files and folders in it, relative to its root.
        folder: where they are written.
        instead: what a user can give who has no such revision, for the errors.

    Raises:
        ValueError: git is not installed, the revision does not exist or lacks the files, or there is no room for them.
    """
    where = f"{revision!r} of this project with {' and '.join(paths)}"
    if revision.startswith("-"):
        raise ValueError(f"no revision {where}; give one, or {instead}")
    try:
        done = subprocess.run([*GIT, "archive", revision, "--", *paths], cwd=ROOT, capture_output=True)
    except FileNotFoundError:
        raise ValueError(f"git is not installed; install it, or give {instead}") from None
    if done.returncode:
        said = "".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:])
        shallow = "this clone is shallow: git fetch --unshallow, or fetch-depth: 0; " if _beyond(revision) else ""
        raise ValueError(f"no revision {where} ({said}); {shallow}give one, or {instead}")
    try:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise ValueError(f"{where} cannot be unpacked below {folder}: {error}; free space, or set TMPDIR") from error


def _beyond(revision: str) -> bool:
    """Whether there is no such commit here, in a clone that does not hold them all."""
    here = subprocess.run([*GIT, "cat-file", "-e", f"{revision}^{{commit}}"], cwd=ROOT, capture_output=True)
    shallow = [*GIT, "rev-parse", "--is-shallow-repository"]
    return here.returncode != 0 and subprocess.run(shallow, cwd=ROOT, capture_output=True).stdout.strip() == b"true"
