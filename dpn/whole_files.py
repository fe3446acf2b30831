"""Files that are whole or not there, whatever stops the program that writes them. Imports no torch."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file beside its place and renames it when it is on disk; after an error nothing is left of it.

    Raises:
        OSError: there is no room, or no permission.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
