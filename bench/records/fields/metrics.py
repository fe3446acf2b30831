"""Which model holds for which metric's records, so that whoever reads one may rely on it. Imports no torch."""

from bench.records.fields.accuracy import Accuracy
from bench.records.fields.counts import Layers, Macs, Opinions, ReceptiveField
from bench.records.fields.gradients import Cosines, Effective
from bench.records.fields.parts import Counted, Fields
from bench.records.fields.times import Ceiling, Copy, OfSetting, Refusal, Timed, Trial

OF: dict[str, type[Fields]] = {
    "macs": Macs,
    **dict.fromkeys(("params", "live_macs", "activations", "weight_bytes", "activation_bytes"), Counted),
    "layers": Layers,
    "receptive_field": ReceptiveField,
    "second_opinions": Opinions,
    **dict.fromkeys(("latency", "throughput"), Timed),
    **dict.fromkeys(("memory", "energy"), OfSetting),
    **dict.fromkeys(("ap", "pckh"), Accuracy),
    "effective_field": Effective,
    "neighbour_cosine": Cosines,
    **dict.fromkeys(("arithmetic_ceiling", "copy_ceiling"), Ceiling),
    "trial": Trial,
    "copy": Copy,
    "refusal": Refusal,
}
"""The model of each metric in `bench.records.record.METRICS`."""
