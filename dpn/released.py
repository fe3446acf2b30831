"""Trained weights that come with this project: of which networks, where, and what they are worth. Imports no torch."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "weights"
"""For each network NAME.pt, its weights, and NAME.json, the result of the run that they came from."""

RELEASED = Path("released")
"""Stands for these weights wherever a file of weights is asked for."""


@dataclass(frozen=True, kw_only=True)
class Released:
    """Weights that come with this project.

    Attributes:
        network: a name of the zoo.
        path: the file.
        result: of the run that they came from (`dpn.training.run.train`).
    """

    network: str
    path: Path
    result: dict[str, Any]

    @property
    def words(self) -> str:
        """What they are, in one line."""
        data, _, _ = str(self.result["data"]["val"]).rpartition(" ")
        return (
            f"{self.network} with the weights that come with this project, trained on figures drawn by a program and "
            f"never on photographs; AP {100 * self.result['scores']['AP']:.1f} on {data}"
        )


@cache
def all_released() -> dict[str, Released]:
    """Every network that has such weights, by name."""
    return {
        path.stem: Released(network=path.stem, path=path, result=json.loads(path.with_suffix(".json").read_text()))
        for path in sorted(FOLDER.glob("*.pt"))
    }


def released(network: str, weights: Path | None) -> Released | None:
    """What comes with this project, where that is meant: by `RELEASED`, or by naming no file. None where it is not.

    Raises:
        KeyError: it is asked for, and no weights of this network come with this project.
    """
    if weights not in (None, RELEASED):
        return None
    known = all_released()
    if weights and network not in known:
        raise KeyError(f"no weights of {network} come with this project, only of {', '.join(known) or 'none'}; "
                       "give --weights FILE")  # fmt: skip
    return known.get(network)


def file_of(network: str, weights: Path) -> Path:
    """The file that is meant, with the weights that come with this project for `RELEASED`.

    Raises:
        KeyError: see `released`.
    """
    own = released(network, weights)
    return own.path if own else weights
