"""What the counter promises beside right numbers: it leaves the network alone, adds up, attributes and complains."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, weight_norm

from bench.counts.macs import PACKED, Count, CountError, count
from bench.counts.operator_counter import Operator
from bench.counts.watching import ELSEWHERE
from bench.opinions.opinion import blank_copy
from bench.records.record import METRICS
from dpn.build import build
from dpn.spec import DPNSpec
from dpn.zoo import ZOO
from tests.bench.micro_models import Layers
from tests.bench.networks import Late

SMALL = DPNSpec(name="small", modules=1, width=4, dilations=(2, 1), conv2_blocks=0, input_hw=(64, 48), joints=3)
QUANTITIES = ("macs", "live_macs", "macs_at_output", "activations", "weight_bytes", "activation_bytes")


def conv_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, 4, 1))


class Failing(nn.Module):
    """Calls a layer that cannot take its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Conv2d(4, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def hooks_everywhere(net: nn.Module) -> int:
    """How many hooks there are, on the modules and on all modules at once."""
    shared = torch.nn.modules.module
    number = len(shared._global_forward_hooks) + len(shared._global_forward_pre_hooks)
    return number + sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())


# The network is left as it was


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("make", [conv_net, Failing], ids=["success", "failure"])
def test_the_network_is_left_as_it_was(make: Callable[[], nn.Module], device: str) -> None:
    net = make()
    net.train()
    next(net.children()).eval()  # a mixture of modes, as in a frozen layer
    modes = [module.training for module in net.modules()]
    tensors = {
        name: (tensor, tensor.clone(), tensor.requires_grad) for name, tensor in net.state_dict(keep_vars=True).items()
    }
    hooks = hooks_everywhere(net)
    for fast_path in (True, False):
        torch.backends.mha.set_fastpath_enabled(fast_path)
        try:
            count(net, (1, 3, 8, 8), device=device)
        except CountError:
            assert make is Failing
        else:
            assert make is conv_net
        assert torch.backends.mha.get_fastpath_enabled() is fast_path
    torch.backends.mha.set_fastpath_enabled(True)
    assert [module.training for module in net.modules()] == modes
    assert len(set(modes)) == 2
    assert hooks_everywhere(net) == hooks
    assert not torch.is_inference_mode_enabled()
    assert torch.empty(1).device.type == "cpu"
    after = net.state_dict(keep_vars=True)
    for name, (tensor, copy, requires_grad) in tensors.items():
        assert after[name] is tensor
        assert torch.equal(tensor, copy)
        assert tensor.requires_grad == requires_grad
    if make is conv_net:
        net(torch.rand(1, 3, 8, 8)).sum().backward()  # and it still trains
        assert all(parameter.grad is not None for parameter in net.parameters())


class Keeping(nn.Module):
    """Makes grids in its first call and keeps them for the next ones."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("grid", None)
        self.scale: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.grid is None or self.scale is None:
            self.grid, self.scale = torch.arange(x.shape[-1]), torch.ones(())
            self.sizes = x.shape
        return x * self.grid * self.scale


def test_what_a_forward_pass_keeps_is_taken_back() -> None:
    """Or a network that was counted on the meta device could not be run any more."""
    net = nn.Sequential(Keeping())
    count(net, (1, 3))
    assert not hasattr(net[0], "sizes")
    assert net(torch.ones(1, 3)).tolist() == [[0.0, 1.0, 2.0]]


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_what_a_forward_pass_registers_is_counted_and_taken_back(device: str) -> None:
    net = Late()
    counted = count(net, (1, 3, 8, 8), device=device)
    assert counted.params_by_module == {"conv": 3 * 9 * 4 + 4, "": 4 * 64, "head": 4 * 2 + 2}
    assert counted.params == sum(counted.params_by_module.values())
    assert [name for name, _ in net.named_parameters()] == ["conv.weight", "conv.bias"]
    assert [name for name, _ in net.named_children()] == ["conv"]
    assert net(torch.rand(1, 3, 8, 8)).shape == (1, 2, 8, 8)
    assert count(net, (1, 3, 8, 8), device=device).params == counted.params


def test_weights_are_neither_copied_nor_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(SMALL)
    seen: list[str] = []

    def watched(image: Tensor, weight: Tensor, *rest: object, **more: object) -> Tensor:
        seen.append(weight.device.type)
        return real(image, weight, *rest, **more)

    real = F.conv2d
    monkeypatch.setattr(F, "conv2d", watched)
    addresses = [parameter.data_ptr() for parameter in net.parameters()]
    count(net, (1, 3, 64, 48))
    assert seen
    assert set(seen) == {"meta"}
    assert [parameter.data_ptr() for parameter in net.parameters()] == addresses


def test_a_count_does_not_depend_on_where_the_network_is() -> None:
    with torch.device("meta"):
        on_meta = build(SMALL)
    shape = (1, 3, 64, 48)
    counts = [count(on_meta, shape), count(build(SMALL), shape), count(build(SMALL), torch.rand(shape), device="cpu")]
    assert counts[0].operators == counts[1].operators == counts[2].operators
    assert {c.params for c in counts} == {sum(p.numel() for p in on_meta.parameters())}
    assert all(c.complete for c in counts)


def test_counting_twice_gives_the_same() -> None:
    net = conv_net()
    assert count(net, (1, 3, 8, 8)) == count(net, (1, 3, 8, 8))


class Exported(nn.Sequential):
    """Refuses to change its mode, as graphs do that `torch.export` wrote."""

    def train(self, mode: bool = True) -> Self:
        raise NotImplementedError(f"Calling train({mode}) is not supported yet.")


def test_a_network_whose_mode_is_fixed_is_counted_as_it_is() -> None:
    net = nn.Sequential(Exported(*conv_net()), nn.Dropout(0.5))
    assert count(net, (1, 3, 8, 8)).macs == count(conv_net(), (1, 3, 8, 8)).macs
    assert all(module.training for module in net.modules())
    assert not any(module.training for module in blank_copy(net, "meta").modules())


def test_dropout_and_batch_norm_are_in_evaluation_mode() -> None:
    net = conv_net().train()
    count(net, (1, 3, 8, 8), device="cpu")
    assert int(net[1].num_batches_tracked) == 0


@pytest.mark.parametrize(
    "layer",
    [
        nn.BatchNorm2d(4),
        nn.GroupNorm(2, 4),
        nn.LayerNorm(7),
        nn.Conv2d(4, 8, 3),
        nn.Conv2d(3, 8, 9),
        nn.InstanceNorm2d(4, affine=True),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:input's size at dim=1")
def test_what_does_not_fit_is_refused_on_meta_too(layer: nn.Module) -> None:
    for device in ("meta", "cpu"):
        with pytest.raises(CountError):
            count(layer, (2, 3, 8, 8), device=device)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("target", [{"scale_factor": 1.7}, {"scale_factor": (2, 0.5)}, {"size": (5, 11)}], ids=str)
def test_maps_have_the_same_shapes_on_meta_and_in_truth(mode: str, target: dict[str, object]) -> None:
    net = nn.Sequential(nn.Upsample(mode=mode, **target), nn.Conv2d(4, 4, 3, stride=2), nn.GroupNorm(2, 4))
    on_meta, in_truth = (count(net, (2, 4, 9, 10), device=device) for device in ("meta", "cpu"))
    assert on_meta == in_truth


def _turned(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("forward", "layers"),
    [
        (lambda x: (_turned(x) + _turned(x)).permute(0, 3, 1, 2).view(1, -1), ()),
        (lambda norm, x: norm(x.to(memory_format=torch.channels_last)), (nn.BatchNorm2d(3),)),
        (lambda x: F.interpolate(x.to(memory_format=torch.channels_last), scale_factor=2), ()),
    ],
    ids=["sum", "norm", "upsampling"],
)
def test_maps_lie_in_memory_as_torch_says(forward: Callable[..., Tensor], layers: tuple[nn.Module, ...]) -> None:
    """A forward pass may ask for strides, or need them, as `view` does."""
    strides: list[tuple[int, ...]] = []

    def noting(*inputs: Any) -> Tensor:
        out = forward(*inputs)
        strides.append(out.stride())
        return out

    net, image = Layers(noting, *layers).to("meta").eval(), torch.empty(1, 3, 5, 4, device="meta")
    net(image)
    count(net, image)
    plain, counted = strides
    assert counted == plain


def test_what_the_network_prints_stays_out_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """There a script may read an answer."""
    count(Layers(lambda x: print("so far") or x), (1, 3))  # type: ignore[func-returns-value]
    assert tuple(capsys.readouterr()) == ("", "so far\n")


# Totals


def test_totals_are_the_sums_of_the_operators() -> None:
    counted = count(build(SMALL), (2, 3, 64, 48))
    assert len(counted.operators) == 1 + 3 * 3 + 1 + 1 + 2 * 3 + 1 + 1
    for quantity in QUANTITIES:
        assert counted.total(quantity) == sum(getattr(op, quantity) for op in counted.operators) > 0
    assert counted.macs == sum(op.macs for op in counted.operators)
    assert counted.live_macs == sum(op.live_macs for op in counted.operators) < counted.macs
    assert sum(counted.macs_by_kind.values()) == counted.macs
    assert all(0 < op.live_macs <= op.macs for op in counted.operators)


def test_a_batch_costs_its_images() -> None:
    one, three = (count(build(SMALL), (batch, 3, 64, 48)) for batch in (1, 3))
    for quantity in ("macs", "live_macs", "activations", "activation_bytes"):
        assert three.total(quantity) == 3 * one.total(quantity)
    assert three.total("weight_bytes") == one.total("weight_bytes")
    assert three.params == one.params


def test_bytes_and_intensity_of_a_hand_computed_layer() -> None:
    (op,) = count(nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 10, 8)).operators
    assert (op.module, op.op, op.kind) == ("", "aten::convolution", "convolution")
    assert (op.kernel, op.stride, op.dilation, op.groups) == ((3, 3), (2, 2), (1, 1), 1)
    assert op.output_shape == (1, 8, 5, 4)
    assert op.activations == 8 * 5 * 4
    assert op.macs == 5 * 4 * 9 * 24
    assert op.weight_bytes == 4 * (8 * 3 * 9 + 8)  # weights and bias in float32
    assert op.activation_bytes == 4 * (3 * 10 * 8 + 8 * 5 * 4)  # map read, map written
    assert op.arithmetic_intensity == pytest.approx(2 * 4320 / (4 * 224 + 4 * 400))


def test_half_precision_halves_the_bytes() -> None:
    full, half = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3).half()
    image = torch.zeros(1, 3, 8, 8)
    (a,), (b,) = count(full, image).operators, count(half, image.half()).operators
    assert (a.macs, a.weight_bytes, a.activation_bytes) == (b.macs, 2 * b.weight_bytes, 2 * b.activation_bytes)


def test_attention_reads_three_maps_and_no_weight() -> None:
    net = Layers(F.scaled_dot_product_attention)
    (op,) = count(net, (2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 6)).operators
    assert op.weight_bytes == 0
    assert op.activation_bytes == 4 * 6 * (5 * 8 + 7 * 8 + 7 * 6 + 5 * 6)


# Parameters and modules


def test_parameter_column_adds_up_to_those_of_counted_layers() -> None:
    net = build(SMALL)
    counted = count(net, (1, 3, 64, 48))
    convolutions = sum(p.numel() for m in net.modules() if isinstance(m, nn.Conv2d) for p in m.parameters())
    norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert counted.total("params") == convolutions
    assert counted.params == convolutions + norms


def test_parameters_by_module_are_all_of_them() -> None:
    counted = count(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), (1, 3, 5, 5))
    assert counted.params_by_module == {"0": 16, "1": 8}
    assert counted.params == 24
    frozen = nn.BatchNorm2d(4).requires_grad_(False)
    assert "frozen too" in METRICS["params"].meaning
    assert count(frozen, (1, 4, 5, 5)).params == 8


@pytest.mark.parametrize(
    ("net", "remedy"),
    [
        (conv_net, r"not 'conv_net' of type function; call the factory: conv_net\(\)"),
        ("dpn4_64", "not 'str' of type str$"),
    ],
)
def test_what_is_no_module_is_refused(net: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"give a module, a torch.nn.Module, {remedy}"):
        count(net, (1, 3, 5, 5))


def test_a_shared_module_has_its_parameters_once() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1)
    counted = count(nn.Sequential(layer, nn.ReLU(), layer), (1, 4, 6, 6))
    assert [op.params for op in counted.operators] == [4 * 4 * 9 + 4, 0]
    assert counted.params == counted.total("params")
    assert len({op.macs for op in counted.operators}) == 1


def test_tied_parameters_count_once() -> None:
    first, second = nn.Linear(6, 6), nn.Linear(6, 6)
    second.weight = first.weight
    counted = count(nn.Sequential(first, second), (2, 6))
    assert counted.params == 6 * 6 + 6 + 6
    assert [op.params for op in counted.operators] == [6 * 6 + 6, 6]


@pytest.mark.parametrize("parametrized", [weight_norm, orthogonal], ids=["weight norm", "orthogonal"])
def test_what_makes_a_weight_belongs_to_its_layer(parametrized: Callable[[nn.Module], nn.Module]) -> None:
    """Also where that has multiply-adds of its own, as an orthogonal weight does."""
    layer = parametrized(nn.Linear(6, 6))
    own = sum(parameter.numel() for parameter in layer.parameters())
    for net, path, rest in ((nn.Sequential(layer, nn.Linear(6, 2)), "0", 14), (layer, "", 0)):
        counted = count(net, (2, 6))
        assert [op.params for op in counted.operators if op.module == path] == [own]
        assert counted.total("params") == counted.params == own + rest


class Nested(nn.Module):
    """Works in itself, in a child, in a grandchild and in a child again."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4))
        self.inner = nn.ModuleDict({"deep": nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))})

    def forward(self, x: Tensor) -> Tensor:
        return self.inner["deep"](x @ self.weight) @ self.weight


def test_calls_are_attributed_to_the_innermost_module() -> None:
    counted = count(Nested(), (3, 4))
    assert [op.module for op in counted.operators] == ["", "inner.deep.0", "inner.deep.2", ""]
    assert [op.params for op in counted.operators] == [16, 20, 20, 0]


def test_shapes_of_maps_by_module() -> None:
    counted = count(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()), (1, 3, 5, 5))
    assert dict(counted.maps) == {"0": (1, 8, 3, 3), "1": (1, 72), "": (1, 72)}


class Catching(nn.Module):
    """Tries a layer that fails, and goes on without it."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = Failing()
        self.sound = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        try:
            x = self.broken(x)
        except RuntimeError:
            x = self.sound(x)
        return F.conv2d(x, x.new_ones(1, 2, 1, 1))


def test_attribution_survives_an_exception_that_the_network_catches() -> None:
    counted = count(nn.Sequential(Catching(), nn.Conv2d(1, 1, 1)), (1, 3, 8, 8))
    modules = [op.module for op in counted.operators]
    assert modules[0] == "0.broken.first"
    assert modules[1] == "0.sound"
    assert modules[-1] == "1"


# Complaints


def test_an_unknown_operator_is_named_with_its_place() -> None:
    fourier = Layers(lambda x: torch.fft.fft2(x).abs())
    counted = count(nn.Sequential(nn.Conv2d(3, 4, 1), fourier, fourier), (1, 3, 8, 8))
    assert not counted.complete
    assert dict(counted.unknown) == {("aten::_fft_c2c", "1"): 2}
    assert counted.macs == 64 * 3 * 4


def test_a_module_that_another_thread_runs_is_not_taken_for_free() -> None:
    """A dispatch mode sees its own thread only."""

    def forward(here: nn.Module, there: nn.Module, x: Tensor) -> Tensor:
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(there, x)
            other.result()
        return here(x)

    counted = count(Layers(forward, nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 1)), (1, 3, 8, 8))
    assert dict(counted.unknown) == {(ELSEWHERE, "layers.1"): 1}
    assert [operator.module for operator in counted.operators] == ["layers.0"]


def test_a_custom_operator_is_unknown() -> None:
    with torch.library._scoped_library("dpn_test", "FRAGMENT") as library:
        library.define("mystery(Tensor x) -> Tensor")
        library.impl("mystery", lambda x: x.clone(), "CompositeExplicitAutograd")
        counted = count(Layers(torch.ops.dpn_test.mystery), (2, 3))
    assert dict(counted.unknown) == {("dpn_test::mystery", ""): 1}


COMPLEX = {
    "conv2d": nn.Conv2d(8, 6, 3, padding="same", dtype=torch.complex64),
    "conv_transpose2d": nn.ConvTranspose2d(8, 6, 3, dtype=torch.complex64),
    "linear": nn.Linear(8, 6, dtype=torch.complex64),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("name", COMPLEX)
def test_products_of_complex_numbers_are_unknown_whatever_torch_makes_of_them(name: str, device: str) -> None:
    net = nn.Sequential(nn.Identity(), COMPLEX[name])
    counted = count(net, torch.zeros(1, 8, 8, 8, dtype=torch.complex64), device=device)
    assert dict(counted.unknown) == {(f"aten::{name} of complex numbers", "1"): 1}
    assert counted.operators == ()


@pytest.mark.filterwarnings(r"ignore:.*torch\.jit:DeprecationWarning")
def test_packed_weights_are_named_where_they_are_no_parameters_also_of_a_module_that_does_not_run() -> None:
    """They would be a complete count of no parameters."""
    packed = torch.ScriptObject.__new__(torch.ScriptObject)  # a quantised module's, whose making warns
    head = nn.Identity()
    head._packed_params = packed
    net = Layers(lambda _head, conv, x: conv(x), head, nn.Conv2d(3, 4, 1))
    assert dict(count(net, (1, 3, 8, 8)).unknown) == {(PACKED, "layers.0"): 1}
    assert count(torch.jit.trace(nn.ReLU(), torch.zeros(1)), (2, 3), device="cpu").complete


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_bag_of_rows_is_free_as_a_row_is_unless_it_weighs_them(mode: str, device: str) -> None:
    bag = nn.EmbeddingBag(10, 4, mode=mode)
    assert count(bag, torch.zeros(2, 3, dtype=torch.long), device=device).complete
    if mode == "sum":
        weighed = Layers(lambda bag, x: bag(x, per_sample_weights=torch.ones(2, 3, device=x.device)), bag)
        ((name, _),) = count(weighed, torch.zeros(2, 3, dtype=torch.long), device=device).unknown
        assert name.endswith(" with weights")


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_failure_says_where_and_what_to_do(device: str) -> None:
    with pytest.raises(CountError, match=r"^Failing failed in second: .*channel.*; check the input's size") as caught:
        count(Failing(), (1, 3, 8, 8), device=device)
    assert ("device cpu" in str(caught.value)) == (device == "meta")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_network_that_reads_values_is_told_to_use_the_cpu() -> None:
    net = Layers(lambda conv, x: conv(x) if float(x.sum()) >= 0 else x, nn.Conv2d(3, 4, 1))
    with pytest.raises(CountError, match="device cpu"):
        count(net, (1, 3, 8, 8))
    assert count(net, (1, 3, 8, 8), device="cpu").macs == 64 * 3 * 4


class Choosing(nn.Conv2d):
    """Needs more than an image."""

    def forward(self, x: Tensor, k: int) -> Tensor:  # type: ignore[override]
        return super().forward(x[:k])


def test_a_network_that_takes_more_than_an_image_is_told_to_be_wrapped() -> None:
    with pytest.raises(CountError, match=r"argument: 'k'; a network must take one image tensor .* can wrap it"):
        count(Choosing(3, 4, 1), (1, 3, 8, 8))
    inside = nn.Sequential(nn.Conv2d(3, 3, 1), Choosing(3, 4, 1))
    with pytest.raises(CountError, match=r"Sequential failed in 1: .*argument: 'k'; check the input's size"):
        count(inside, (1, 3, 8, 8))


def test_a_network_of_another_type_is_told_of_it() -> None:
    with pytest.raises(
        CountError, match=r"weights are torch\.float16 and its input torch\.float32: build it with \.to"
    ):
        count(conv_net().half(), (1, 3, 8, 8))
    with pytest.raises(CountError, match="check the input's size"):
        count(conv_net().half(), torch.zeros(1, 2, 8, 8).half())


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_network_that_leaves_is_a_failure(device: str) -> None:
    with pytest.raises(CountError, match="failed: SystemExit: 0; a forward pass must return, never leave"):
        count(Layers(lambda _: sys.exit(0)), (1, 3), device=device)


def test_a_lazy_layer_is_told_to_see_an_input_first() -> None:
    with pytest.raises(CountError, match="call it once on a real input"):
        count(nn.Sequential(nn.LazyConv2d(4, 3)), (1, 3, 8, 8))


def test_free_operators_are_named_and_counted() -> None:
    counted = count(conv_net(), (1, 3, 8, 8))
    assert counted.free["aten::batch_norm"] == 1
    assert not counted.unknown


ROW = torch.zeros(8, dtype=torch.long)
MOVING: dict[str, Callable[[Tensor], object]] = {
    "scatter_add_": lambda x: x.scatter_add_(1, ROW.to(x.device).expand(8, 8), x.clone()),
    "index_add": lambda x: x.index_add(0, ROW.to(x.device), x),
    "index_copy_": lambda x: x.index_copy_(0, ROW.to(x.device), x.clone()),
    "scatter_reduce": lambda x: x.scatter_reduce(1, ROW.to(x.device).expand(8, 8), x, "amax"),
    "slice_scatter": lambda x: torch.slice_scatter(x, x[:2], 0, 0, 2),
    "select_scatter": lambda x: torch.select_scatter(x, x[0], 0, 1),
    "masked_select": lambda x: x.masked_select(x > 0),
    "masked_scatter_": lambda x: x.masked_scatter_(x > 0, x.clone()),
    "take": lambda x: x.take(ROW.to(x.device)),
    "put_": lambda x: x.put_(ROW.to(x.device), x[0].clone()),
    "squeeze_": lambda x: x.clone().unsqueeze_(0).squeeze_(0).transpose_(0, 1),
    "tril_": lambda x: x.tril_().triu_(),
    "diag_embed": torch.diag_embed,
    "bucketize": lambda x: torch.bucketize(x, x[0].contiguous()),
    "searchsorted": lambda x: torch.searchsorted(x, x),
    "cummax": lambda x: (x.cummax(0), x.cummin(0), x.logcumsumexp(0), x.nansum()),
    "isin": lambda x: torch.isin(x, x[0]),
    "multinomial": lambda x: torch.multinomial(x.abs() + 1, 2),
    "randint_like": lambda x: torch.randint_like(x, 3),
    "normal_": lambda x: (x.normal_(), x.exponential_(), x.uniform_(), x.bernoulli_(), x.fill_(1), x.zero_()),
}


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_data_or_draws_numbers_is_free_also_in_place(name: str) -> None:
    devices = ("cpu",) if name == "masked_select" else ("cpu", "meta")
    for device in devices:
        counted = count(Layers(MOVING[name]), (8, 8), device=device)
        assert f"aten::{name}" in counted.free
        assert (dict(counted.unknown), counted.macs) == ({}, 0)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_an_outer_product_that_is_added_costs_as_the_matrix_product_of_a_column_and_a_row(device: str) -> None:
    outer = count(Layers(torch.addr), (5, 7), (5,), (7,), device=device)
    product = count(Layers(torch.addmm), (5, 7), (5, 1), (1, 7), device=device)
    assert outer.complete
    assert outer.macs_by_kind == product.macs_by_kind
    assert outer.macs == 5 * 7


LAYERS_WITHOUT_COST = (
    *(nn.ELU, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.PReLU, nn.ReLU, nn.ReLU6),
    *(nn.SELU, nn.CELU, nn.GELU, nn.Sigmoid, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Tanh, nn.GLU),
    *(nn.Softmax2d, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.Identity, nn.Flatten),
)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("layer", LAYERS_WITHOUT_COST, ids=lambda layer: layer.__name__)
def test_layers_without_multiply_adds_are_known(layer: type[nn.Module], device: str) -> None:
    counted = count(layer(), (2, 4, 6, 6), device=device)
    assert counted.complete
    assert counted.macs == 0


def _edged(conv: nn.Module, x: Tensor) -> Tensor:
    y = F.pad(x, (2, 2, 2, 2))
    y[..., 0] = 1
    return conv(y)


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_padding_that_is_written_through_a_view_is_padding_no_more(device: str) -> None:
    written, padded = (
        count(Layers(forward, nn.Conv2d(3, 8, 3)), (1, 3, 8, 8), device=device)
        for forward in (_edged, lambda conv, x: conv(F.pad(x, (2, 2, 2, 2))))
    )
    assert written.live_macs == written.macs == padded.macs > padded.live_macs


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_padding_that_a_result_is_written_into_is_padding_no_more(device: str) -> None:
    def written(conv: nn.Module, x: Tensor) -> Tensor:
        y = F.pad(x, (2, 2, 2, 2))
        return conv(torch.add(y + 1, 1, out=y))

    counted = count(Layers(written, nn.Conv2d(3, 8, 3)), (1, 3, 8, 8), device=device)
    assert counted.live_macs == counted.macs


@pytest.mark.parametrize("operation", [torch.add, torch.sub, torch.mul])
def test_a_result_is_written_where_the_network_wants_it(operation: Callable[..., Tensor]) -> None:
    def forward(conv: nn.Module, x: Tensor) -> Tensor:
        out = torch.empty(0)
        operation(x, x, out=out)
        return conv(out)

    counted = count(Layers(forward, nn.Conv2d(3, 8, 1)), (1, 3, 5, 4))
    assert counted.maps[""] == (1, 8, 5, 4)


def test_operators_hold_plain_data() -> None:
    (op,) = count(nn.Linear(3, 4), torch.zeros(2, 3)).operators
    assert isinstance(op, Operator)
    assert all(isinstance(getattr(op, quantity), int) for quantity in QUANTITIES)


def test_zoo_networks_are_complete() -> None:
    with torch.device("meta"):
        counted: Count = count(build(ZOO["dpn4_64"]), (1, 3, 256, 192))
    assert counted.complete
    assert counted.macs == 3_224_371_200
