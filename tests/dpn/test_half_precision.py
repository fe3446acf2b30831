"""bf16 and fp16 with products in float32 are what torch computes in these types itself, up to the order of the sums."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import profile

import dpn.processor
from dpn.half_precision import HALVES, PRODUCTS, Float32Products, arithmetic, is_emulated
from dpn.processor import multiplies_in

MILAN = "flags\t\t: fpu avx2 fma vaes\n"
GENOA = "flags\t\t: fpu avx2 avx512f avx512_bf16\n"
GRANITE = "flags\t\t: fpu avx512_bf16 avx512_fp16 amx_bf16\n"
GRAVITON = "Features\t: fp asimd asimdhp sve bf16\n"


@pytest.fixture(name="cpuinfo")
def _cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which this machine's processor is described; nothing is remembered."""
    monkeypatch.setattr(dpn.processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(dpn.processor, "fields", dpn.processor.fields.__wrapped__)
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize(
    ("text", "multiplied"),
    [(MILAN, ()), (GENOA, ("bf16",)), (GRANITE, ("bf16", "fp16")), (GRAVITON, ("bf16", "fp16")), (None, ())],
)
def test_what_is_emulated_is_what_the_processor_does_not_multiply(
    cpuinfo: Path, text: str | None, multiplied: tuple[str, ...]
) -> None:
    if text:
        cpuinfo.write_text("processor\t: 0\n" + text + "\n" + GRANITE)
    assert tuple(name for name in ("bf16", "fp16") if multiplies_in(name)) == multiplied
    assert tuple(name for dtype, name in HALVES.items() if not is_emulated("cpu", dtype)) == multiplied
    assert isinstance(arithmetic("cpu", torch.bfloat16), Float32Products) == (text in (MILAN, None))
    assert not any(is_emulated(*asked) for asked in (("cuda", torch.bfloat16), ("cpu", None), ("cpu", torch.float32)))


class Layers(nn.Module):
    """Every kind of product: convolutions dense, dilated, strided, grouped and transposed, and matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.Conv2d(16, 16, 3, padding=2, dilation=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
        )
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 8, 8)."""
        rows = self.linear(self.convolutions(x).flatten(2).transpose(1, 2))
        return torch.bmm(rows.transpose(1, 2), rows)


def passes(net: nn.Module, x: Tensor, dtype: torch.dtype, around: Float32Products | None) -> list[Tensor]:
    """What comes out, and the gradients of everything that has some."""
    net.zero_grad()
    x = x.clone().requires_grad_()
    with around if around is not None else torch.enable_grad():
        with torch.autocast("cpu", dtype):
            found = net(x)
        found.float().square().mean().sqrt().backward()
    gradients = [tensor.grad for tensor in (x, *net.parameters()) if tensor.grad is not None]
    assert len(gradients) == 1 + len(list(net.parameters()))
    return [found.detach(), *gradients]


@pytest.mark.parametrize("dtype", list(HALVES))
def test_passes_are_torchs_own(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net, x = Layers(), torch.randn(2, 3, 16, 12)
    own, emulated = passes(net, x, dtype, None), passes(net, x, dtype, Float32Products())
    assert own[0].dtype is emulated[0].dtype is dtype
    for one, other in zip(own, emulated, strict=True):
        unit = 2 * torch.finfo(dtype).eps * float(one.float().abs().max())  # a rounding here, and those before it
        assert float((one.float() - other.float()).abs().max()) <= unit
    assert not torch.equal(net(x), emulated[0].float())  # it is rounded


@pytest.mark.parametrize("dtype", list(HALVES))
def test_operands_are_rounded_and_sums_are_not_until_the_end(dtype: torch.dtype) -> None:
    """1 + e is lost between operands and kept in a sum of exact products, which one rounding at the end then takes."""
    eps = torch.finfo(dtype).eps
    ones = torch.ones(1, 256, 1, 1)
    small = torch.full((1, 256, 1, 1), eps / 4)
    weights = torch.cat((torch.ones(1, 1, 1, 1), small[:, 1:]), dim=1)
    with Float32Products(), torch.autocast("cpu", dtype):
        found = nn.functional.conv2d(ones, weights)
        of_rounded = nn.functional.conv2d(ones[:, :1] + eps / 4, ones[:, :1])
    assert float(found) == pytest.approx(1 + 255 * eps / 4, rel=eps / 2)  # summed in the type it would stay at 1
    assert float(of_rounded) == 1.0


def test_inference_mode_goes_the_same_way() -> None:
    """Where composed operators arrive whole."""
    torch.manual_seed(0)
    net, x = Layers().eval(), torch.randn(2, 3, 16, 12)
    found = []
    for mode in (torch.no_grad, torch.inference_mode):
        seen = Counted()
        with mode(), seen, torch.autocast("cpu", torch.bfloat16):
            found.append(net(x).clone())
        assert seen.products == 6
    assert torch.equal(*found)


def test_upsampling_in_inference_mode_is_torchs_own_kernel() -> None:
    """For tracing torch has it in Python, piece by piece, which takes many times as long."""
    small = torch.randn(2, 8, 6, 4, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last)
    wanted = nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
    with torch.inference_mode(), profile() as seen, Float32Products():
        found = nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
    assert torch.equal(found, wanted)
    names = {event.key for event in seen.key_averages()}
    assert "aten::upsample_bilinear2d" in names
    assert "aten::index" not in names


class Counted(Float32Products):
    """Counts the products that were widened."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """What is counted goes on as it would."""
        self.products += func in PRODUCTS and args[0].dtype in HALVES
        return super().__torch_dispatch__(func, types, args, kwargs)
