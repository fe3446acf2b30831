"""A network whose code was changed is another one, though its layers and weights are the same."""

import linecache
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
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
NAME = "whole_net:net"
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
    known = network(NAME)
    before = code_digest(NAME, known.net)
    assert code_digest(NAME, network(NAME).net) == before
    path = files / f"{file}.py"
    path.write_text(path.read_text().replace(old, new))
    changed = network(NAME)
    assert changed.state_digest() == known.state_digest()
    assert code_digest(NAME, changed.net) != before


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
    digests, again = ([code_digest("listed", net.net) for net in some] for some in nets)
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
    first, same, other = (code_digest("mine", typed(one, n, monkeypatch)) for n, one in enumerate(texts))
    assert first == same != other


class Scaled(nn.Module):
    """Multiplies by a number that nothing but its code tells."""

    def forward(self, x: Tensor) -> Tensor:
        return 2.5 * x


class Halved(nn.Module):
    """As `Scaled`, by another."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x


def exported(net: nn.Module) -> nn.Module:
    return torch.export.export(net, (torch.zeros(1, 3),)).module()


@pytest.mark.filterwarnings(r"ignore:.*torch\.jit:DeprecationWarning")
@pytest.mark.parametrize("make", [exported, torch.jit.script])
def test_what_torch_made_of_a_network_is_known_by_the_code_that_it_wrote(
    make: Callable[[nn.Module], nn.Module],
) -> None:
    scaled, again, halved = (code_digest("mine", make(net)) for net in (Scaled(), Scaled(), Halved()))
    assert scaled == again != halved


def test_installed_packages_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every evaluation would read all of torch."""
    net = nn.Sequential(nn.Conv2d(3, 17, 1))
    before = code_digest("conv", net)
    monkeypatch.setattr("dpn.network_code.file_digest", lambda _: "read")
    assert code_digest("conv", net) == before
