"""A network whose code was changed is another one, though its layers and weights are the same."""

import linecache
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from dpn.network_code import code_digest
from dpn.network_names import Network, network

NET = """
import torch
import parts_of_net

class Net(torch.nn.Module):
    def forward(self, x):
        return parts_of_net.twice(x)

def net():
    return Net()
"""
PARTS = "def twice(x):\n    return 2 * x\n"


@pytest.fixture(name="files")
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the network `whole_net:net` and what it imports."""
    (tmp_path / "whole_net.py").write_text(NET)
    (tmp_path / "parts_of_net.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("whole_net", "parts_of_net"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(("file", "old", "new"), [("whole_net", "twice(x)", "twice(-x)"), ("parts_of_net", "2", "3")])
def test_what_it_calls_is_part_of_it_where_its_definition_is_the_same(
    files: Path, file: str, old: str, new: str
) -> None:
    known = network("whole_net:net")
    before = code_digest(known)
    assert code_digest(network("whole_net:net")) == before
    path = files / f"{file}.py"
    path.write_text(path.read_text().replace(old, new))
    changed = network("whole_net:net")
    assert changed.state_digest() == known.state_digest()
    assert code_digest(changed) != before


class Listed(nn.Module):
    """What it does is in attributes that no definition has."""

    def __init__(self, **attributes: object) -> None:
        super().__init__()
        vars(self).update(attributes)

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_lists_and_functions_of_layers_are_part_of_it() -> None:
    made: list[dict[str, object]] = [
        {}, {"rates": [1, 2]}, {"rates": [1, 3]}, {"rates": {"a": 1}}, {"rates": {2, "1"}}, {"act": F.relu},
        {"act": F.gelu}, {"rates": [nn.ReLU(), None, 1.5]},
    ]  # fmt: skip
    nets = [[Network(name="listed", net=nn.Sequential(Listed(**one))) for one in made] for _ in range(2)]
    digests, again = ([code_digest(net) for net in some] for some in nets)
    assert digests == again
    assert len(set(digests)) == len(made)
    assert len({net.state_digest() for net in nets[0]}) == 1


def typed(text: str, number: int, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network of a notebook's cell."""
    cell, space = f"<cell {number}>", {"nn": nn, "__name__": "a_notebook"}
    monkeypatch.setitem(linecache.cache, cell, (len(text), None, text.splitlines(keepends=True), cell))
    exec(compile(text, cell, "exec"), space)
    net = space["Net"]()  # type: ignore[operator]
    assert isinstance(net, nn.Module)
    return net


def test_a_class_of_a_notebook_is_known_by_its_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "class Net(nn.Module):\n    def forward(self, x):\n        return 2 * x\n"
    texts = (text, text, text.replace("2", "3"))
    nets = [Network(name="mine", net=typed(one, number, monkeypatch)) for number, one in enumerate(texts)]
    first, same, other = map(code_digest, nets)
    assert first == same != other


def test_installed_packages_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every evaluation would read all of torch."""
    net = Network(name="conv", net=nn.Sequential(nn.Conv2d(3, 17, 1)))
    before = code_digest(net)
    monkeypatch.setattr("dpn.network_code.file_digest", lambda _: "read")
    assert code_digest(net) == before
