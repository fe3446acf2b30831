"""Keeps a library from telling its makers that it was imported, while it is measured. Imports no torch."""

import sys

REPORTERS = ("openvino_telemetry",)
"""Packages that send reports. Whoever imports one finds it missing, and does without.

OpenVINO's starts a thread and a process when `openvino` is imported, which for up to three seconds try to reach the
network beside what is timed. Nobody asked for that, and where the interpreter is killed in those seconds, the process
waits for ever: it was forked by a thread while another one held the lock of standard input.
"""


def switch_off() -> None:
    """Called before a library that reports is imported."""
    for name in REPORTERS:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None is how an import is forbidden
