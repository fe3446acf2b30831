"""Interpreters that are alike, and this one, which stays as it was."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.peak_memory import alike
from bench.sweeps.pool import Zygote
from dpn.checkout import ROOT
from tests.bench.waiting import wait_until

LAYOUT = "import sys; print(list(map(id, (sys, len, print))), hash('a'), open('/proc/self/maps').read())"

SETTINGS = "from bench.peak_memory import alike; print(alike.settings())"

linux = pytest.mark.skipif(sys.platform != "linux", reason="addresses are fixed on Linux")


def said(program: str, **variables: str) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=True)
    return done.stdout


def allowed() -> bool:
    with alike.fixed_addresses():
        return "addresses are not random" in alike.settings()


@linux
@pytest.mark.skipif(not allowed(), reason="this sandbox keeps addresses random")
def test_programs_get_the_same_addresses_and_hashes() -> None:
    with alike.fixed_addresses():
        layouts = [said(LAYOUT, **alike.VARIABLES).split("[vvar", 1)[0] for _ in range(3)]
        assert "not random', 'hashes are not random" in said(SETTINGS, **alike.VARIABLES)
    assert len(set(layouts)) == 1
    assert layouts[0] not in {said(LAYOUT, **alike.VARIABLES).split("[vvar", 1)[0] for _ in range(3)}


@linux
def test_this_process_and_its_later_children_stay_as_they_were() -> None:
    before = alike.settings()
    with pytest.raises(KeyError), alike.fixed_addresses():
        raise KeyError("on the way")
    assert alike.settings() == before
    assert "hashes" not in said(SETTINGS, PYTHONHASHSEED="random")


@linux
def test_threads_share_a_core_while_they_are_asked_to_and_are_free_afterwards() -> None:
    before, go, seen = os.sched_getaffinity(0), threading.Event(), list[set[int]]()

    def run() -> None:
        seen.append(os.sched_getaffinity(0))
        go.wait(30)
        seen.append(os.sched_getaffinity(0))

    with alike.one_core():
        within = os.sched_getaffinity(0)
        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: bool(seen))
    go.set()
    thread.join()
    assert within == {min(before)}
    assert seen == [within, before]
    assert os.sched_getaffinity(0) == before


def test_a_system_without_a_personality_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike.sys, "platform", "darwin")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    with alike.fixed_addresses():
        assert alike.settings() == ["hashes are not random"]


@linux
@pytest.mark.usefixtures("own_lock")
def test_an_interpreter_is_alike_only_when_asked() -> None:
    environs = []
    for asked in (True, False):
        with Zygote(("json",), alike=asked) as zygote:
            process = Path(f"/proc/{zygote._process.pid}")
            environs.append("PYTHONHASHSEED=0" in (process / "environ").read_text().split("\0"))
            fixed = int((process / "personality").read_text(), 16) & alike._ADDR_NO_RANDOMIZE
            assert bool(fixed) == (asked and allowed())
    assert environs == [True, os.environ.get("PYTHONHASHSEED") == "0"]
