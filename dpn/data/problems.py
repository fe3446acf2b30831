"""What is wrong with a data set, each in one line that names the file, the field and the remedy. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one file.

    Attributes:
        file: the file's path, with the name inside for an archive: "train2017.zip/000000000009.jpg".
        field: where in the file, such as "annotations[12].bbox"; empty for the file as a whole.
        message: what is wrong there.
        remedy: what to do about it.
    """

    file: str
    field: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.field}" if self.field else self.file
        return " ".join(f"{place}: {self.message}; {self.remedy}".split())


class DataError(ValueError):
    """Data that cannot be used; the message is the first problem, in one line, and says how many more there are.

    Attributes:
        problems: all that is known to be wrong, the one of the message first.
    """

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        more = len(self.problems) - 1
        rest = f" (and {more} more; of a data set, python -m dpn data check lists all)" if more else ""
        super().__init__(f"{self.problems[0]}{rest}")

    def __reduce__(self) -> tuple[type["DataError"], tuple[tuple[Problem, ...]]]:
        """Made again from its problems in another process, not from its message, as exceptions are by default."""
        return type(self), (self.problems,)


def unreadable(path: Path, error: OSError | ValueError) -> DataError:
    """For what a system says of a file that it does not open; a name that no file can have is a ValueError."""
    reason = getattr(error, "strerror", None) or error
    return DataError(Problem(str(path), "", f"cannot be read ({reason})", "make it readable"))
