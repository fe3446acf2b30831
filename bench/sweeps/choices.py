"""What of a network is measured, as a command line or a notebook says it: `Choices`. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from bench import cell
from bench.cell import Cell
from bench.running import backends
from bench.subject import Subject
from dpn.input_size import asked_hw

COUNTS = (
    "params", "macs", "live_macs", "activations", "weight_bytes", "activation_bytes", "layers", "second_opinions",
)  # fmt: skip
"""The metrics of the records that `--metric counts` asks for."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What to measure of each network; several values are separated by commas.

    Attributes:
        input: height and width of the input, such as 256x192; by default the network's own.
        metric: counts, latency, throughput, memory, energy.
        device: cpu or cuda.
        backend: eager, channels_last, compile, cudagraph, onnxruntime, openvino, or all that are installed.
        precision: fp32, tf32, bf16, fp16.
        batch: images a call.
        threads: threads on the CPU; all is one for each physical core. On a GPU it is always 1, the one that launches.
    """

    input: Annotated[str | None, tyro.conf.arg(metavar="HxW")] = None
    metric: str = "counts"
    device: str = "cpu"
    backend: str = "eager"
    precision: str = "fp32"
    batch: str = "1"
    threads: str = "all"

    def input_hw(self) -> tuple[int, int] | None:
        """The input size asked for."""
        return asked_hw(self.input)

    def metrics(self) -> tuple[str, ...]:
        """The metrics asked for."""
        return _listed("metric", self.metric, ("counts", *cell.METRICS))

    def counts(self) -> bool:
        """Whether counts are asked for."""
        return "counts" in self.metrics()

    def timed(self) -> tuple[str, ...]:
        """The metrics asked for, without the counts, which need no cells."""
        return tuple(name for name in self.metrics() if name != "counts")

    def cells(self, subject: Subject) -> list[Cell]:
        """The cells of one network."""
        devices = _listed("device", self.device, cell.DEVICES)
        threads = cell.parse_threads(self.threads)
        return [
            one
            for device in devices
            for one in cell.grid(
                [(subject.name, subject.input_hw)],
                metric=self.timed(),
                device=(device,),
                batch=cell.parse_batches(self.batch),
                precision=_listed("precision", self.precision, cell.PRECISIONS),
                backend=backends.offered(device) if self.backend == "all"
                else _listed("backend", self.backend, tuple(backends.BACKENDS)),
                threads=(1,) if device == "cuda" else threads,
            )
        ]  # fmt: skip


def _listed(option: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise ValueError(f"--{option} {name!r} is none of {', '.join(known)}")
    return names
