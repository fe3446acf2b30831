"""Other counters on the same networks: every difference has a reason, and known faults of theirs are still there."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.counts.macs import count
from bench.opinions.second_opinions import COUNTERS, Opinion, agreeing, second_opinions, to_record_detail
from dpn.build import build
from dpn.zoo import ZOO

for needed in ("fvcore", "ptflops"):
    pytest.importorskip(needed)


class Function(nn.Module):
    """A forward pass given as a function of some layers and the input."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


def module_of_fvcore(name: str) -> Any:
    """fvcore scripts functions with the deprecated torch.jit when it is imported; second_opinions copes with that."""
    second_opinions(nn.Conv2d(3, 8, 3), (1, 3, 10, 10))
    return sys.modules[name]  # by this way, since a function of fvcore.nn has the name of a module


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build(ZOO[name])


def by_counter(net: nn.Module, shape: tuple[int, ...], device: str = "meta") -> dict[str, Opinion]:
    return {opinion.counter: opinion for opinion in second_opinions(net, shape, device=device)}


def assert_all_agree(net: nn.Module, shape: tuple[int, ...]) -> None:
    opinions = second_opinions(net, shape)
    own = count(net, shape).macs
    assert [opinion.failure for opinion in opinions] == [""] * 4
    assert {opinion.counter: opinion.unexplained for opinion in opinions} == dict.fromkeys(COUNTERS, 0)
    for opinion in opinions:
        assert opinion.total - sum(opinion.extras.values()) == own == opinion.own_macs
    assert agreeing(opinions) == 4


@pytest.mark.parametrize("name", ["dpn1_32", "dpn4_64", "dpn1_64_highres"])
def test_every_difference_is_explained_to_the_last_mac(name: str) -> None:
    assert_all_agree(on_meta(name), (1, 3, 64, 48))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_every_difference_is_explained_for_the_whole_zoo(name: str) -> None:
    assert_all_agree(on_meta(name), (1, 3, *ZOO[name].input_hw))


def elements(net: nn.Module, shape: tuple[int, ...]) -> dict[str, Counter[str]]:
    """Elements into and out of every kind of module, and out of those with a bias, seen by hooks of the test's own."""
    seen: dict[str, Counter[str]] = {"in": Counter(), "out": Counter(), "biased": Counter()}

    def see(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kind = type(module).__name__
        seen["in"][kind] += inputs[0].numel()
        seen["out"][kind] += output.numel()
        if getattr(module, "bias", None) is not None:
            seen["biased"][kind] += output.numel()

    for module in net.modules():
        module.register_forward_hook(see)
    net.eval()(torch.zeros(shape, device="meta"))
    return seen


@pytest.mark.parametrize("name", ["dpn1_32", "dpn1_64_highres", "dpn1_64_highres_printed"])
def test_the_reasons_are_the_rules_that_they_state(name: str) -> None:
    shape = (1, 3, 128, 96)
    opinions = by_counter(on_meta(name), shape)
    seen = elements(on_meta(name), shape)
    relu, pooled = seen["out"]["ReLU"], seen["in"]["MaxPool2d"]
    upsampled, biased = seen["out"]["Upsample"], seen["biased"]["Conv2d"]
    batch_norm = 2 * seen["in"]["BatchNorm2d"]

    def without_zeros(extras: dict[str, int]) -> dict[str, int]:
        return {reason: macs for reason, macs in extras.items() if macs}

    assert opinions["fvcore"].extras == without_zeros({"batch norm": batch_norm, "bilinear upsampling": 4 * upsampled})
    assert opinions["ptflops-pytorch"].extras == without_zeros(
        {
            "batch norm": batch_norm,
            "biases": biased,
            "ReLU": relu,
            "ReLU, called as a function": relu,
            "pooling": pooled,
            "pooling, called as a function": pooled,
            "upsampling": upsampled,
            "upsampling, called as a function": upsampled,
        }
    )
    assert opinions["ptflops-aten"].extras == {"biases": biased}
    assert opinions["flop-counter-mode"].extras == {}


def test_the_totals_are_those_of_the_tools_used_plainly_on_a_real_network() -> None:
    from ptflops import get_model_complexity_info
    from torch.utils.flop_counter import FlopCounterMode

    shape = (1, 3, 64, 48)
    opinions = by_counter(on_meta("dpn1_32"), shape)

    def net() -> nn.Module:
        return build(ZOO["dpn1_32"]).eval()

    def ptflops(backend: str) -> int:
        return get_model_complexity_info(
            net(), shape[1:], print_per_layer_stat=False, as_strings=False, backend=backend
        )[0]

    with FlopCounterMode(display=False) as mode, torch.no_grad():
        net()(torch.zeros(shape))
    assert opinions["flop-counter-mode"].total * 2 == mode.get_total_flops()
    assert opinions["ptflops-aten"].total == ptflops("aten")
    assert opinions["ptflops-pytorch"].total == ptflops("pytorch")
    analysis = (
        module_of_fvcore("fvcore.nn").FlopCountAnalysis(net(), torch.zeros(shape)).unsupported_ops_warnings(False)
    )
    assert opinions["fvcore"].total == analysis.total()


def test_an_error_in_a_tool_stays_unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    from ptflops import aten_ops, pytorch_ops
    from torch.utils import flop_counter

    aten, hook = torch.ops.aten, pytorch_ops.MODULES_MAPPING[nn.Conv2d]

    def seven_more(module: nn.Module, inputs: object, output: object) -> None:
        hook(module, inputs, output)
        module.__flops__ += 7

    right = aten_ops.ATEN_OPS_MAPPING[aten.convolution]
    monkeypatch.setitem(pytorch_ops.MODULES_MAPPING, nn.Conv2d, seven_more)
    monkeypatch.setitem(aten_ops.ATEN_OPS_MAPPING, aten.convolution, lambda *call: right(*call) + 7)
    monkeypatch.setitem(flop_counter.flop_registry, aten.convolution, lambda *_, **__: 2 * 3)
    by_operator = module_of_fvcore("fvcore.nn.flop_count")._DEFAULT_SUPPORTED_OPS
    monkeypatch.setitem(by_operator, "aten::_convolution", lambda *_: Counter(conv=5))

    opinions = by_counter(nn.Conv2d(3, 8, 3, bias=True), (1, 3, 10, 10))
    own = 8 * 8 * 9 * 3 * 8
    assert {name: opinion.unexplained for name, opinion in opinions.items()} == {
        "fvcore": 5 - own,
        "ptflops-pytorch": 7,
        "ptflops-aten": 7,
        "flop-counter-mode": 3 - own,
    }
    assert agreeing(opinions.values()) == 0


def _convolution(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(x, layer.weight, padding=1)


def _transposed(x: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    return F.conv_transpose2d(x, layer.weight, stride=2, padding=1)


def _attention(x: Tensor, inward: nn.Linear, outward: nn.Linear) -> Tensor:
    query, key, value = (part.unflatten(-1, (4, 16)).transpose(1, 2) for part in inward(x).chunk(3, dim=-1))
    return outward(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


CONV_MACS = 16 * 12 * 9 * 8 * 8
ATTENTION_MACS = 2 * 4 * 50 * 50 * 16
KNOWN_GAPS = {
    "functional convolution": (
        lambda: Function(_convolution, nn.Conv2d(8, 8, 3, bias=False)),
        (1, 8, 16, 12),
        "meta",
        CONV_MACS,
        {"ptflops-pytorch": ("functional convolutions missed", CONV_MACS)},
    ),
    "convolution through .forward()": (
        lambda: Function(lambda x, layer: layer.forward(x), nn.Conv2d(8, 8, 3, padding=1, bias=False)),
        (1, 8, 16, 12),
        "meta",
        CONV_MACS,
        {"ptflops-pytorch": ("functional convolutions missed", CONV_MACS)},
    ),
    "functional transposed convolution": (
        lambda: Function(_transposed, nn.ConvTranspose2d(8, 4, 4, bias=False)),
        (1, 8, 6, 5),
        "meta",
        6 * 5 * 16 * 8 * 4,
        {"ptflops-pytorch": ("functional transposed convolutions missed", 6 * 5 * 16 * 8 * 4)},
    ),
    "padding by name": (
        lambda: nn.Conv2d(8, 8, 3, padding="same", dilation=2, bias=False),
        (1, 8, 16, 12),
        "meta",
        CONV_MACS,
        {"fvcore": ("convolutions with padding by name missed", CONV_MACS)},
    ),
    "attention on a CPU": (
        lambda: Function(_attention, nn.Linear(64, 192, bias=False), nn.Linear(64, 64, bias=False)),
        (1, 50, 64),
        "cpu",
        50 * 64 * (192 + 64) + ATTENTION_MACS,
        {
            "fvcore": ("attention missed", ATTENTION_MACS),
            "ptflops-pytorch": ("functional attention missed", ATTENTION_MACS),
            "ptflops-aten": ("attention missed", ATTENTION_MACS),
            "flop-counter-mode": ("attention missed", ATTENTION_MACS),
        },
    ),
    "attention on the meta device, where torch writes it out as matrix products": (
        lambda: Function(_attention, nn.Linear(64, 192, bias=False), nn.Linear(64, 64, bias=False)),
        (1, 50, 64),
        "meta",
        50 * 64 * (192 + 64) + ATTENTION_MACS,
        {
            "fvcore": ("attention missed", ATTENTION_MACS),
            "ptflops-pytorch": ("functional attention missed", ATTENTION_MACS),
        },
    ),
}
"""Case -> network, input, device, true MACs, and which counters miss how many of them for which reason."""


@pytest.mark.parametrize("case", KNOWN_GAPS)
def test_known_gaps_of_the_tools_are_still_there(case: str) -> None:
    make, shape, device, true_macs, gaps = KNOWN_GAPS[case]
    opinions = by_counter(make(), shape, device)
    for name, opinion in opinions.items():
        reason, missed = gaps.get(name, ("", 0))
        assert opinion.own_macs == true_macs
        assert opinion.total == true_macs - missed, f"{name} has changed; if it counts this now, drop it from the case"
        assert opinion.extras == ({reason: -missed} if missed else {})
        assert opinion.unexplained == 0


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("fast_path", [True, False])
def test_every_counter_is_shown_attention_in_its_parts(fast_path: bool, device: str) -> None:
    """In evaluation mode torch would make one fused call of it, which is nothing to most of them."""
    layer = nn.MultiheadAttention(64, 4, batch_first=True)
    torch.backends.mha.set_fastpath_enabled(fast_path)
    try:
        opinions = by_counter(Function(lambda x, layer: layer(x, x, x)[0], layer), (1, 50, 64), device)
        assert torch.backends.mha.get_fastpath_enabled() is fast_path
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert {name: opinion.unexplained for name, opinion in opinions.items()} == dict.fromkeys(COUNTERS, 0)
    assert {opinion.own_macs for opinion in opinions.values()} == {50 * 64 * 4 * 64 + ATTENTION_MACS}


def _packed(x: Tensor, layer: nn.GRU) -> Tensor:
    lengths = torch.tensor([5, 3])
    packed = nn.utils.rnn.pack_padded_sequence(x.reshape(2, 5, 6), lengths, batch_first=True)
    return layer(packed)[0].data  # type: ignore[no-any-return]


RECURRENT = {
    "gru": (nn.GRU(6, 7, num_layers=2, bidirectional=True), 5 * 2 * 3 * 7 * ((6 + 7) + (14 + 7))),
    "lstm": (nn.LSTM(6, 7, proj_size=3), 5 * (4 * 7 * (6 + 3) + 7 * 3)),
    "rnn": (nn.RNN(6, 7, nonlinearity="relu"), 5 * 7 * (6 + 7)),
    "rnn of tanh": (nn.RNN(6, 7), 5 * 7 * (6 + 7)),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("name", RECURRENT)
def test_fvcore_is_told_to_miss_recurrent_layers(name: str) -> None:
    """Own multiply-adds by hand: steps, gates, hidden size, and what each step meets."""
    layer, macs = RECURRENT[name]
    opinion = by_counter(layer, (1, 5, 6))["fvcore"]
    assert (opinion.failure, opinion.own_macs, opinion.total) == ("", macs, 0)
    assert (dict(opinion.extras), opinion.unexplained) == ({"recurrent layers missed": -macs}, 0)


def test_steps_of_packed_sequences_are_as_many_as_there_are() -> None:
    opinion = by_counter(Function(_packed, nn.GRU(6, 7, batch_first=True)), (1, 10, 6), "cpu")["fvcore"]
    assert dict(opinion.extras) == {"recurrent layers missed": -8 * 3 * 7 * (6 + 7)}


def state_of(net: nn.Module) -> list[object]:
    """Everything that a tool could leave on a network: attributes, hooks, modes, and the identity of every tensor."""
    seen: list[object] = []
    for name, module in net.named_modules():
        hooks = [len(value) for key, value in vars(module).items() if key.endswith("hooks")]
        seen.append((name, module.training, sorted(vars(module)), hooks, repr(module)))
    tensors = (*net.named_parameters(), *net.named_buffers())
    return [*seen, *((name, id(t), t._version, t.device, t.requires_grad) for name, t in tensors)]


def test_the_network_torch_and_the_tools_are_left_as_they_were(capfd: pytest.CaptureFixture[str]) -> None:
    from ptflops import pytorch_ops

    net = build(ZOO["dpn1_32"])
    net.conv1.eval()  # a mixture that no blanket train() or eval() restores

    def surroundings() -> list[object]:
        tables = (pytorch_ops.FUNCTIONAL_MAPPING, pytorch_ops.TENSOR_OPS_MAPPING, pytorch_ops.MODULES_MAPPING)
        return [F.relu, F.max_pool2d, F.interpolate, torch.mul, torch.Tensor.add, *(dict(table) for table in tables)]

    before, around = state_of(net), surroundings()
    second_opinions(net, (1, 3, 64, 48))
    assert state_of(net) == before
    assert surroundings() == around
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_compiled_network_is_counted_as_it_was_written(device: str) -> None:
    whole, parts = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)) for _ in range(2))
    whole.compile(backend="eager")
    parts[2] = torch.compile(parts[2], backend="eager")  # type: ignore[assignment]
    for net in (whole, parts):
        opinions = by_counter(net, (1, 3, 9, 9), device)
        assert {opinion.own_macs for opinion in opinions.values()} == {4 * 9 * (3 * 49 + 4 * 25)}
        told = {name: opinion.unexplained for name, opinion in opinions.items() if opinion.total is not None}
        assert set(told.values()) == {0}
        assert opinions.keys() - told.keys() <= ({"fvcore"} if net is parts else set())  # torch.jit.trace cannot


def test_importing_ptflops_does_not_keep_a_redirected_stdout() -> None:
    program = """
import inspect, sys
from torch import nn
from bench.opinions.second_opinions import agreeing, second_opinions
assert agreeing(second_opinions(nn.Conv2d(3, 8, 3), (1, 3, 10, 10))) == 4
from ptflops import get_model_complexity_info
assert inspect.signature(get_model_complexity_info).parameters["ost"].default is sys.stdout
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("package", "lost"), [("fvcore", 1), ("ptflops", 2)])
def test_a_missing_tool_costs_only_its_own_opinion(package: str, lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    opinions = second_opinions(nn.Conv2d(3, 8, 3), (1, 3, 10, 10))
    missing = [opinion for opinion in opinions if opinion.total is None]
    assert [opinion.counter.startswith(package) for opinion in missing] == [True] * lost
    assert all(f"run: pip install {package}" in opinion.failure for opinion in missing)
    assert all(opinion.unexplained is None for opinion in missing)
    assert agreeing(opinions) == 4 - lost


def _refuses_tracing(x: Tensor, layer: nn.Module) -> Tensor:
    if torch.jit.is_tracing():
        raise ValueError("not to be traced")
    return layer(x)


def _refuses_patches(x: Tensor, layer: nn.Module) -> Tensor:
    if hasattr(F.relu, "op"):
        raise ValueError("not to be patched")
    return layer(x)


@pytest.mark.parametrize(
    ("function", "counter", "words"),
    [(_refuses_tracing, "fvcore", "not to be traced"), (_refuses_patches, "ptflops-pytorch", "not to be patched")],
)
def test_a_network_that_one_tool_cannot_run_keeps_the_other_opinions(
    function: Callable[..., Tensor], counter: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    opinions = by_counter(Function(function, nn.Conv2d(3, 8, 3)), (1, 3, 10, 10))
    assert opinions[counter].total is None
    assert words in opinions[counter].failure
    assert agreeing(opinions.values()) == 3
    assert not hasattr(F.relu, "op")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("net", "shape", "words"),
    [(nn.Conv2d(3, 8, 3), (1, 4, 10, 10), "check the input's size"), (nn.Conv2d(3, 8, 3), (2, 3, 9, 9), "batch of 1")],
)
def test_a_network_that_cannot_be_counted_is_a_failure_of_every_opinion(
    net: nn.Module, shape: tuple[int, ...], words: str
) -> None:
    opinions = second_opinions(net, shape)
    assert [opinion.counter for opinion in opinions] == list(COUNTERS)
    assert all(words in opinion.failure and opinion.unexplained is None for opinion in opinions)
    assert agreeing(opinions) == 0


def test_the_detail_of_a_record_says_what_the_opinions_say() -> None:
    good = Opinion(counter="a", version="1", total=12, own_macs=7, extras={"biases": 8, "convolutions missed": -3})
    odd = Opinion(counter="b", version="2", total=12, own_macs=7, extras={"biases": 3})
    lost = Opinion(counter="c", version="", total=None, own_macs=7, failure="not there")
    assert agreeing((good, odd, lost)) == 1
    assert to_record_detail((odd, lost)) == {
        "opinions": [
            {
                "counter": "b", "version": "2", "total": 12, "extras": {"biases": 3}, "unexplained": 2, "failure": "",
            },
            {
                "counter": "c", "version": "", "total": None, "extras": {}, "unexplained": None,
                "failure": "not there",
            },
        ]
    }  # fmt: skip
