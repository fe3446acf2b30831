"""Anybody's network by its name: whatever is wrong with it is one line that says what, and what to write instead."""

import itertools
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from dpn.build import build
from dpn.factories import NetworkError, imported
from dpn.input_size import parse_hw
from dpn.network_names import Network, built, definition_of
from dpn.program.error_words import first_line, first_said, in_words
from dpn.zoo import ZOO

FACTORIES = """
from torch import nn

def net():
    return nn.Conv2d(3, 17, 3)

def sized(width, depth=2):
    return nn.Conv2d(3, width, 3)

def misspelt():
    return nn.Conv2D(3, 17, 3)

def wrong_inside():
    return nn.Conv2d(3)

def leaves():
    raise SystemExit(3)

def asserts():
    assert False

def text():
    return "no network"

def talks():
    print("building")
    return nn.Conv2d(3, 17, 3)

number = 3
instance = nn.Conv2d(3, 17, 3)
print("importing")
"""


@pytest.fixture(autouse=True)
def _factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "factories.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_factory_builds() -> None:
    assert imported("factories:net")().out_channels == 17


@pytest.mark.parametrize("name", ["dpn1_32_lite", "factories:net"])
def test_torchs_seed_decides_what_is_built(name: str) -> None:
    torch.manual_seed(3)
    net, spec = built(name)
    torch.manual_seed(3)
    expected = build(spec) if spec else imported(name)()
    assert spec is ZOO.get(name)
    for key, tensor in expected.state_dict().items():
        assert torch.equal(net.state_dict()[key], tensor)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("factories:sized", "must build a network when called without arguments: missing a required argument: 'width'"),
        ("factories:misspelt", "fails when it is called: AttributeError: module 'torch.nn' has no attribute 'Conv2D'"),
        ("factories:wrong_inside", r"fails when it is called: TypeError: .*missing 2 required positional arguments"),
        ("factories:leaves", "fails when it is called: SystemExit: 3"),
        ("factories:asserts", "fails when it is called: AssertionError$"),
        ("factories:text", "must return a torch.nn.Module, not a str"),
        ("factories:number", "is of type int; name a function that builds a network"),
        ("factories:instance", "is a network already; name a function that builds it$"),
        ("factories:nett", "has no 'nett'; the nearest is net"),
        ("factories:zzzzzz", "has no 'zzzzzz'$"),
        ("factories.py:net", "cannot import 'factories.py'|write mine:net"),
        ("./factories.py:net", "write mine:net for net in mine.py"),
        ("../factories:net", "write mine:net for net in mine.py"),
        ("factories:", "is package.module:factory, not 'factories:'"),
    ],
)
def test_what_builds_no_network_is_one_line(name: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        imported(name)()
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_between_two_calls_is_imported_as_it_is(tmp_path: Path) -> None:
    """Also one of the same size within the same second, which Python by itself would take for the one before."""
    file = tmp_path / "changing.py"

    def width() -> int:
        return imported("changing:net")().out_channels  # type: ignore[return-value]

    for digit in (1, 2):
        file.write_text(f"from torch import nn\n\ndef net():\n    return nn.Conv2d(3, {digit}, 1)\n")
        module = sys.modules.get("changing")
        assert width() == digit
        assert sys.modules["changing"] is not module
    good, module = file.read_text(), sys.modules["changing"]
    assert width() == 2
    assert sys.modules["changing"] is module
    for bad, said in (("def net(:", "SyntaxError: invalid syntax"), ("1 / 0", "ZeroDivisionError")):
        file.write_text(bad)
        with pytest.raises(NetworkError, match=f"^'changing' fails when it is imported for 'changing:net': {said}"):
            imported("changing:net")
        assert sys.modules["changing"] is module
    file.write_text(good)
    assert width() == 2
    file.unlink()
    with pytest.raises(NetworkError, match=r"^cannot import 'changing'"):
        imported("changing:net")


def test_a_package_that_changes_brings_its_parts(tmp_path: Path) -> None:
    package = tmp_path / "changing_package"
    package.mkdir()
    (package / "part.py").write_text("from torch import nn\n\ndef make(width):\n    return nn.Conv2d(3, width, 1)\n")
    for width in (1, 2):
        text = f"import changing_package.part\n\ndef net():\n    return changing_package.part.make({width})\n"
        (package / "__init__.py").write_text(text)
        assert imported("changing_package:net")().out_channels == width
    kept = {name: module for name, module in sys.modules.items() if name.startswith("changing_package")}
    (package / "part.py").write_text("1 / 0")
    (package / "__init__.py").write_text("import changing_package.part\n")
    with pytest.raises(NetworkError, match="ZeroDivisionError"):
        imported("changing_package:net")
    assert {name: sys.modules[name] for name in kept} == kept


def test_a_module_without_a_file_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a notebook, whose functions are those of `__main__`."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "conv", lambda: nn.Conv2d(3, 17, 3), raising=False)
    for _ in range(2):
        assert imported("__main__:conv")().out_channels == 17
    assert sys.modules["__main__"] is main


def test_what_is_printed_stays_out_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """There a script may read an answer."""
    sys.modules.pop("factories", None)
    imported("factories:talks")()
    assert tuple(capsys.readouterr()) == ("", "importing\nbuilding\n")


def test_a_size_has_no_channels() -> None:
    with pytest.raises(NetworkError, match="without channels, of which every image has 3, not '1x256x192'"):
        parse_hw("1x256x192")


def test_sizes_end_where_the_message_says() -> None:
    assert parse_hw("9999x1") == (9999, 1)
    for text in ("10000x1", "1x10000", "0x5", "5", "5x"):
        with pytest.raises(NetworkError, match="of 9999 at most"):
            parse_hw(text)


def test_errors_in_words() -> None:
    assert in_words(ValueError("two\nlines")) == "ValueError: two lines"
    assert in_words(AssertionError()) == "AssertionError"
    for text, said in (("", ""), ("\n \n", ""), ("\n one\ntwo", "one"), (300 * "x", 200 * "x")):
        assert first_said(ValueError(text)) == (said or "ValueError")
        assert first_line(ValueError(text)) == (f"ValueError: {said}" if said else "ValueError")


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_factory_sets_for_all_of_torch_ends_when_the_next_network_is_built(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    def setting() -> nn.Module:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return nn.Conv2d(3, 1 // (not fails), 1)

    monkeypatch.setattr(sys.modules["__main__"], "setting", setting, raising=False)
    for after in ("factories:net", "dpn1_32_lite"):
        with pytest.raises(NetworkError) if fails else nullcontext():
            built("__main__:setting")
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float64, False)  # it may need them to run
        net, _ = built(after)
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() == next(net.parameters()).dtype == torch.float32
    torch.set_default_dtype(torch.float64)  # by anybody else
    try:
        built("factories:net")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


class Stateful(nn.Conv2d):
    """Keeps more in its state than tensors."""

    def __init__(self, scale: float) -> None:
        super().__init__(3, 4, 1, bias=False)
        nn.init.ones_(self.weight)
        self.scale = torch.full((2000,), 0.5)
        self.scale[1000] = scale

    def get_extra_state(self) -> object:
        return {"of": type("Opaque", (), {})(), "scales": [self.scale, torch.float16]}


def test_a_state_digest_is_also_of_what_is_no_tensor() -> None:
    first, same, other = (Network(name="mine:net", net=Stateful(scale)).state_digest() for scale in (0.5, 0.5, 0.25))
    assert first == same != other


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quantize:UserWarning")
def test_a_quantized_network_has_a_state_digest() -> None:
    def digest(weight: float) -> str:
        net = nn.Sequential(nn.Linear(64, 32)).eval()
        for parameter in net.parameters():
            nn.init.constant_(parameter, 1.0)
        with torch.no_grad():
            net[0].weight[16, 32] = weight  # type: ignore[index]
        return Network(name="mine:net", net=torch.ao.quantization.quantize_dynamic(net, {nn.Linear})).state_digest()

    assert digest(0.0) == digest(0.0) != digest(0.5)


class Acting(nn.Module):
    """Is worded otherwise each time, as a set of words is from process to process; keeps numbers, and what is none."""

    wordings = itertools.count()

    def __init__(self, size: int = 3, dilations: tuple[int | None, ...] = (2, None)) -> None:
        super().__init__()
        self.act = lambda x: x
        self.dilations = dilations
        self.mixed = (1, self.act)
        self._calls = next(self.wordings)
        self.scale = nn.Parameter(torch.zeros(size))

    def extra_repr(self) -> str:
        """See above."""
        return f"wording {next(self.wordings)}"


def test_a_definition_changes_with_the_layers_and_with_nothing_else() -> None:
    nets = [
        nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 3), nn.Conv2d(3, 4, 3, stride=2),
        nn.Conv2d(3, 4, 3, padding=2), nn.Conv2d(3, 4, 3, dilation=2), Acting(), Acting(4), Acting(3, (3, None)),
        nn.Sequential(nn.Tanh()), nn.Sequential(nn.Sigmoid()),
    ]  # fmt: skip
    known = [definition_of(net, None) for net in nets]
    assert len(set(known)) == len(nets)
    again, acting = nn.Conv2d(3, 4, 3), Acting().eval()
    assert repr(acting) != repr(nets[6])
    assert [definition_of(net, None) for net in (again, acting)] == [known[0], known[6]]
    spec = ZOO["dpn1_32_lite"]
    assert definition_of(again, spec) == spec.digest()


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_layers_that_wait_for_their_input_have_a_definition() -> None:
    assert definition_of(nn.LazyConv2d(4, 3), None) != definition_of(nn.LazyConv2d(5, 3), None)
