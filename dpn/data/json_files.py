"""Files, and files in archives, as bytes and as JSON, with one line for whatever is wrong. Imports no torch."""

import json
from pathlib import Path

from dpn.data.images import open_zip, read_member
from dpn.data.json_columns import FIX
from dpn.data.problems import DataError, Problem, unreadable


def read_bytes(path: Path) -> bytes:
    """What is in the file, or in the member of an archive.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            with open_zip(parent) as archive:
                return read_member(archive, path.relative_to(parent).as_posix())
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(Problem(str(path), "", "there is no such file", "give the path of one")) from None
    except IsADirectoryError:
        raise DataError(Problem(str(path), "", "is a folder", "give the path of the file in it")) from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def parse(data: bytes, file: str) -> object:
    """What the bytes say in JSON; NaN and infinities are let through, for `problems_in` to say where they stand.

    Raises:
        DataError: they are no JSON.
    """
    if not data.strip():
        raise DataError(Problem(file, "", "is empty", FIX))
    try:
        return json.loads(data)
    except RecursionError:
        raise DataError(Problem(file, "", "is nested too deeply", FIX)) from None
    except UnicodeDecodeError as error:
        raise DataError(Problem(file, f"byte {error.start}", "is no UTF-8", FIX)) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise DataError(Problem(file, place, f"is no JSON or cut short ({error.msg})", FIX)) from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise DataError(Problem(file, "", "holds a number of thousands of digits", FIX)) from None
