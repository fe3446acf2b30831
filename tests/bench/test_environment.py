"""Keys of machines, descriptions of systems that name nobody, and how much every record says of where it comes from."""

import getpass
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dpn.processor
from bench.machine import environment, gpu, processor
from bench.recording.counting import make_record
from bench.subject import resolve
from dpn.checkout import ROOT
from dpn.processor import cores
from tests.bench.provenance import provenance_fields

EPYC = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\nstepping\t: 1\n"
ARM = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd sve bf16\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"

LINUX = pytest.mark.skipif(platform.system() != "Linux", reason="only Linux says as much")


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for a system's files, `cpuinfo` and those below `system`; nothing of it is remembered."""
    monkeypatch.setattr(dpn.processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor, "SYSTEM", tmp_path / "system")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for cached in (
        dpn.processor.fields,
        processor.describe,
        environment.machine,
        environment.gpu_name,
        environment.describe,
    ):
        cached.cache_clear()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_generations_with_one_name_have_two_keys(made_up: Path) -> None:
    keys = []
    for model in (1, 17):
        forget()
        write(made_up, {"cpuinfo": EPYC.format(model=model) + "\n" + EPYC.format(model=99)})
        keys.append(environment.machine())
    assert keys == [f"amd-epyc-f25m1s1-{cores()}-cores", f"amd-epyc-f25m17s1-{cores()}-cores"]


def test_key_of_an_arm_processor(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(made_up, {"cpuinfo": ARM})
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert environment.machine() == f"aarch64-i41pd0c-{cores()}-cores"
    assert processor.describe()["cpu_vector"] == "asimd bf16 sve"


def test_key_without_cpuinfo(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(made_up.iterdir())
    monkeypatch.setattr(platform, "processor", lambda: "Apple M3")
    assert environment.machine() == f"apple-m3-{cores()}-cores"
    assert processor.describe() == {"cpu": "Apple M3"}


def test_key_of_a_gpu_names_the_processor_that_launches_for_it(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(made_up, {"cpuinfo": EPYC.format(model=17)})
    monkeypatch.setattr(gpu, "describe", lambda: {"gpu": "NVIDIA H200", "gpu_ecc": True})
    assert environment.machine("cuda") == "nvidia-h200-on-amd-epyc-f25m17s1"
    assert environment.describe("cuda") == environment.describe() | {"gpu": "NVIDIA H200", "gpu_ecc": True}


def test_keys_without_a_gpu_differ_by_machine(made_up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made_up
    monkeypatch.setattr(environment, "gpu_name", cache(lambda: None))
    assert environment.machine("cuda") == environment.machine() + "-without-gpu"


@pytest.mark.parametrize(
    ("files", "turbo"),
    [
        ({}, None),
        ({"cpu/intel_pstate/no_turbo": "1\n"}, False),
        ({"cpu/intel_pstate/no_turbo": "0\n"}, True),
        ({"cpu/cpufreq/boost": "0\n"}, False),
        ({"cpu/cpufreq/boost": "1\n"}, True),
    ],
)
def test_turbo(made_up: Path, files: dict[str, str], turbo: bool | None) -> None:
    write(made_up / "system", files)
    assert processor.turbo() is turbo


def test_caches_and_clock(made_up: Path) -> None:
    files = {"cpu/cpu0/cpufreq/cpuinfo_max_freq": "3500000\n", "cpu/cpu0/cpufreq/scaling_governor": "performance\n"}
    for index, (level, kind, size) in enumerate([(1, "Data", 48), (1, "Instruction", 32), (2, "Unified", 2048)]):
        folder = f"cpu/cpu0/cache/index{index}"
        files |= {f"{folder}/level": f"{level}\n", f"{folder}/type": f"{kind}\n", f"{folder}/size": f"{size}K\n"}
    write(made_up / "system", files | {"node/node0/cpulist": "0", "node/node1/cpulist": "1"})
    write(
        made_up,
        {
            "cpuinfo": EPYC.format(model=17)
            + "flags\t\t: fpu tsc hypervisor avx2 avx512f smep amx_bf16\nbogomips\t: 5192.30\n"
        },
    )
    facts = processor.describe()
    assert (facts["cache_l1d_kib"], facts["cache_l1i_kib"], facts["cache_l2_kib"]) == (48, 32, 2048)
    assert (facts["cpu_max_mhz"], facts["cpu_governor"], facts["numa_nodes"]) == (3500, "performance", 2)
    assert (facts["cpu_vector"], facts["hypervisor"], facts["cpu_tsc_mhz"]) == ("amx_bf16 avx2 avx512f", True, 2596)


@LINUX
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_description_is_flat_and_says_enough(device: str) -> None:
    facts = environment.describe(device)
    assert len(facts) >= 25
    assert all(isinstance(value, str | int | float | bool) and value != "" for value in facts.values())
    assert {"kernel", "libc", "cpu_vector", "huge_pages", "affinity_cores", "python_sha256"} <= set(facts)


def test_description_imports_no_torch() -> None:
    code = "import sys; from bench.machine import environment; environment.describe(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_description_names_nobody_and_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", f"{Path.home()}/lib/libjemalloc.so.2:/opt/libtcmalloc.so.4")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment.describe.cache_clear()
    facts = environment.describe()
    environment.describe.cache_clear()
    assert facts["env_LD_PRELOAD"] == "libjemalloc.so.2 libtcmalloc.so.4"
    assert facts["env_OMP_NUM_THREADS"] == "3"
    for private in (str(Path.home()), str(ROOT), sys.prefix, sys.executable, getpass.getuser(), platform.node()):
        pattern = re.compile(rf"(?<!\w){re.escape(private)}(?!\w)")
        assert [name for name, value in facts.items() if private and pattern.search(str(value))] == []


def test_what_is_not_set_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*environment.VARIABLES, "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    environment.describe.cache_clear()
    assert not [name for name in environment.describe() if name.startswith("env_")]
    environment.describe.cache_clear()


@LINUX
def test_every_record_says_where_it_comes_from() -> None:
    record = make_record(resolve("dpn4_64"), "digest", "params", 1, {})
    assert record.environment == environment.describe()
    assert provenance_fields(record) >= 30
    assert provenance_fields(record.model_copy(update={"environment": {}})) < 30
