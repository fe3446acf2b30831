"""A wish to stop is heard, answered once, and known of while it must wait."""

import os
import signal

import pytest

from dpn.training.stopping import SAID, Stopping, shielded


@pytest.mark.parametrize("speaks", [True, False])
def test_the_first_ctrl_c_is_answered_and_the_second_ends_at_once(
    capfd: pytest.CaptureFixture[str], speaks: bool
) -> None:
    stopping = Stopping(speaks=speaks)
    with stopping.watching():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.wished
        assert capfd.readouterr().err == ""
        os.kill(os.getpid(), signal.SIGINT)
        assert capfd.readouterr().err == speaks * SAID.decode()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert capfd.readouterr().err == ""


def test_sigterm_is_known_of_while_processes_are_started() -> None:
    stopping = Stopping()
    with stopping.watching():
        with shielded():
            assert not stopping.asked()
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopping.asked()
        assert stopping.wished
