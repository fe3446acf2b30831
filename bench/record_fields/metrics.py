"""Which model holds for which metric's records, so that whoever reads one may rely on it. Imports no torch."""

from bench.record_fields.accuracy import Accuracy
from bench.record_fields.counts import Layers, Macs, Opinions, ReceptiveField
from bench.record_fields.gradients import Cosines, Effective
from bench.record_fields.parts import Counted, Fields
from bench.record_fields.times import Ceiling, Copy, OfSetting, Refusal, Timed, Trial

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
"""The model of each metric in `bench.record.METRICS`."""
