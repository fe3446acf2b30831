"""What several verbs take, with the names that the help shows, and what they do with it first. Imports no torch."""

from typing import Annotated

import tyro

from analysis.receptive_fields.receptive_field import FieldGraph
from bench.subject import Subject, resolve
from dpn.input_size import asked_hw

NetworkOrNot = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[NETWORK]")]


def traced(name: str, input_hw: str | None) -> tuple[Subject, FieldGraph]:
    """The network of that name with its wiring, for its own input size or the one that was given, such as 256x192."""
    subject = resolve(name, asked_hw(input_hw))
    from analysis.receptive_fields.field_trace import trace_subject

    return subject, trace_subject(subject)[1]
