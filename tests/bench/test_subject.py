"""What a name stands for: ONNX files beside the zoo and factories."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.macs import count
from bench.recording.counting import count_subject
from bench.subject import DEFAULT_INPUT_HW, Subject, SubjectError, resolve
from tests.bench.onnx_models import convolution

FREE = ("batch", 3, "height", "width")


def test_the_zoo_knows_its_digest_without_building_and_a_factory_does_not() -> None:
    assert resolve("dpn1_32").spec_digest() == resolve("dpn1_32", (64, 48)).spec_digest()
    assert resolve("tests.bench.networks:pointwise").spec_digest() is None


class Repeating(nn.Module):
    """The same modules, called so many times."""

    def __init__(self, times: int, call: Callable[[nn.Module, Tensor], Tensor] = lambda conv, x: conv(x)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.steps = (times, call)

    def forward(self, x: Tensor) -> Tensor:
        times, call = self.steps
        for _ in range(times):
            x = call(self.conv, x)
        return x


def digest(net: nn.Module, hw: tuple[int, int] = (8, 6)) -> str:
    return Subject("mine:net", hw, lambda: net).digest(net)


def test_a_factory_is_known_by_what_its_network_does_not_only_by_its_modules() -> None:
    twice, more = Repeating(2), Repeating(12)
    assert repr(twice) == repr(more)
    wider = Repeating(2, lambda conv, x: F.conv2d(x, conv.weight, padding=1)[..., 1:-1, 1:-1])
    without_a_multiplication = Repeating(2, lambda conv, x: conv(x.sigmoid()))
    assert len(set(map(digest, (twice, more, wider, without_a_multiplication)))) == 4
    assert digest(Repeating(2)) == digest(twice)


def test_a_factory_has_one_digest_however_torch_words_and_runs_it() -> None:
    """A version of torch that copies a map once more, or words a layer otherwise, has the same network."""

    class Worded(Repeating):
        def extra_repr(self) -> str:
            return f"wording {id(self)}"

    copying = Repeating(2, lambda conv, x: conv(x.clone().view(-1, *x.shape[1:]) + x.new_zeros(1)))
    plain = Repeating(2, lambda conv, x: conv(x + torch.zeros(1, device=x.device)))
    assert digest(copying) == digest(plain)
    assert digest(Worded(2)) == digest(Worded(2))
    counted = count(plain, (1, 3, 8, 6))
    assert counted.computed == {"aten::add": 2}
    assert counted.traits() == replace(counted, operators=tuple(
        replace(operator, op="aten::another") for operator in counted.operators)).traits()  # fmt: skip


SCALED = """
import torch

class Net(torch.nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)

def net():
    return Net(3, 4, 1)
"""


def test_another_factor_in_its_forward_pass_makes_it_another_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else tells it: neither its layers nor its count."""
    file = tmp_path / "a_scaled_net.py"
    file.write_text(SCALED)
    monkeypatch.syspath_prepend(tmp_path)

    def own() -> str:
        subject = resolve("a_scaled_net:net", (8, 6))
        return subject.digest(subject.factory())

    before, same = own(), own()
    file.write_text(SCALED.replace("2 *", "3 *"))
    assert before == same != own()


@pytest.mark.filterwarnings(r"ignore:.*torch\.jit:DeprecationWarning")
def test_a_frozen_script_is_counted_and_known_by_its_code() -> None:
    def frozen(width: int, act: nn.Module) -> nn.Module:
        net = nn.Sequential(nn.Conv2d(3, width, 1), act).eval()
        return torch.jit.freeze(torch.jit.script(net))

    makers = (lambda: frozen(4, nn.ReLU()), lambda: frozen(5, nn.ReLU()), lambda: frozen(4, nn.Hardtanh()))
    nets, again = ([make() for make in makers] for _ in range(2))
    assert len(set(map(digest, nets))) == 3
    assert list(map(digest, nets)) == list(map(digest, again))
    assert count(nets[0], (1, 3, 8, 6), device="cpu").macs == 3 * 4 * 8 * 6


class Stateful(nn.Conv2d):
    """Keeps more in its state than tensors."""

    def get_extra_state(self) -> object:
        return {"of": self, "scale": torch.rand(2000), "steps": [1, 2]}


def test_a_network_with_more_in_its_state_than_tensors_has_a_digest() -> None:
    assert digest(Stateful(3, 4, 1)) == digest(Stateful(3, 4, 1)) != digest(Stateful(3, 4, 3))


def test_a_factory_has_one_digest_wherever_it_is_built() -> None:
    """Counts build it on the meta device, times on the CPU."""
    subject = resolve("tests.bench.networks:with_fourier_transform", (8, 8))
    counted = {count_subject(subject, device)[1] for device in ("meta", "cpu")}
    assert {subject.digest(subject.factory())} == counted


def test_a_network_that_reads_values_is_known_by_its_modules() -> None:
    nets = [Repeating(1, lambda conv, x: conv(x) if float(x.sum()) > 0 else x) for _ in range(2)]
    assert len(set(map(digest, nets))) == 1
    assert digest(nn.Sequential(nets[0], nn.ReLU())) != digest(nets[0])


def test_the_input_size_comes_from_the_file(tmp_path: Path) -> None:
    assert resolve(str(convolution(tmp_path / "a.onnx"))).input_hw == (8, 6)
    assert resolve(str(convolution(tmp_path / "b.onnx", FREE))).input_hw == DEFAULT_INPUT_HW
    assert resolve(str(convolution(tmp_path / "b.onnx", FREE)), (32, 16)).input_hw == (32, 16)
    assert resolve(str(convolution(tmp_path / "c.onnx", (1, 10, 12, 3)))).input_hw == (10, 12)


def test_the_digest_is_of_the_bytes_of_every_part(tmp_path: Path) -> None:
    first = resolve(str(convolution(tmp_path / "a.onnx"))).spec_digest()
    assert first == resolve(str(convolution(tmp_path / "b.onnx"))).spec_digest()
    assert first is not None
    assert first.startswith("onnx-")
    assert first != resolve(str(convolution(tmp_path / "c.onnx", value=0.25))).spec_digest()
    apart = resolve(str(convolution(tmp_path / "d.onnx", apart="weights.bin")))
    assert apart.file is not None
    assert apart.file.parts == ("d.onnx", "weights.bin")
    (tmp_path / "weights.bin").write_bytes(b"\0" * (tmp_path / "weights.bin").stat().st_size)
    assert resolve(str(tmp_path / "d.onnx")).spec_digest() != apart.spec_digest()


def test_a_bad_file_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no network")
    half = convolution(tmp_path / "half.onnx")
    half.write_bytes(half.read_bytes()[:100])
    (tmp_path / "empty.onnx").write_bytes(b"")
    lost = convolution(tmp_path / "lost.onnx", apart="weights.bin")
    (tmp_path / "weights.bin").unlink()
    cases = {
        tmp_path / "nowhere.onnx": "cannot be read: No such file",
        broken: "not an ONNX file, or is damaged",
        half: "not an ONNX file, or is damaged",
        tmp_path / "empty.onnx": "holds no network",
        convolution(tmp_path / "two.onnx", inputs=2): "has 2 inputs",
        convolution(tmp_path / "flat.onnx", (1, 3, 8)): "images are batch x channels x height x width",
        lost: "keeps weights in weights.bin, which is missing",
    }
    for path, reason in cases.items():
        with pytest.raises(SubjectError, match=reason) as caught:
            resolve(str(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_weights_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    import onnx

    path = convolution(tmp_path / "a.onnx", apart="weights.bin")
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "../weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(SubjectError, match="missing or outside its folder"):
        resolve(str(path))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(:", "fails when it is imported .* SyntaxError"),
        ("1 / 0", "fails when it is imported .* ZeroDivisionError"),
        ("import sys; sys.exit('bye')", "fails when it is imported .* SystemExit: bye"),
        ("import nowhere", "cannot import .* No module named 'nowhere'"),
        ("net = 3", "is of type int; name a function"),
        ("", "has no 'net'"),
    ],
)
def test_a_module_that_has_no_network_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, reason: str
) -> None:
    (tmp_path / "somebodys_module.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys_module", raising=False)
    with pytest.raises(SubjectError, match=reason) as caught:
        resolve("somebodys_module:net")
    assert "\n" not in str(caught.value)
    sys.modules.pop("somebodys_module", None)


def test_another_size_than_the_file_takes_is_refused(tmp_path: Path) -> None:
    path = convolution(tmp_path / "a.onnx")
    with pytest.raises(SubjectError, match="takes an input of 1x3x8x6, not 1x3x16x6; leave out --input"):
        resolve(str(path), (16, 6))
    file = resolve(str(path)).file
    assert file is not None
    with pytest.raises(ValueError, match="use --batch 1"):
        file.input_shape(8, (8, 6))


def test_a_file_is_not_counted(tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match="can only be timed; add --metric latency --backend onnxruntime, or name"):
        count_subject(resolve(str(convolution(tmp_path / "a.onnx"))))
