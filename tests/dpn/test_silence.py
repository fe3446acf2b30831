"""What libraries say on standard error is heard, and nothing else is lost."""

import os
import re

import pytest

from dpn.silence import overheard


def test_what_else_is_said_on_standard_error_goes_there(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        os.write(2, b"one\ntwo 3\nfour\n")
        return 5

    assert overheard(work, re.compile(rb"two \d\n")) == (5, "two 3")
    assert overheard(work, re.compile(rb"six\n")) == (5, "")
    assert capfd.readouterr().err == "one\nfour\n" + "one\ntwo 3\nfour\n"
