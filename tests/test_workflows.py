"""The workflows call what exists, and code of a pull request never runs with a token that can write."""

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dpn.zoo import ZOO

yaml = pytest.importorskip("yaml", reason="pyyaml comes with other packages")

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def loaded(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def triggers(workflow: dict[Any, Any]) -> Any:
    return workflow[True]  # YAML 1.1 reads the key `on` as a boolean


def steps(job: dict[str, Any], key: str) -> list[str]:
    return [step[key] for step in job["steps"] if key in step]


def commands(script: str) -> Iterator[list[str]]:
    """Every command of a shell script, in words; a line that ends with a backslash goes on."""
    for line in script.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s(?:&&|\|\||;|\|)\s", line):
            yield shlex.split(command, comments=True)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def verbs(package: str) -> dict[str, ast.FunctionDef]:
    """The verbs of `python -m package`, and the function behind each, from the source, so that no torch is imported."""
    source = ast.parse((ROOT / package / "__main__.py").read_text())
    (call,) = [node for node in ast.walk(source) if isinstance(node, ast.Call) and ast.unparse(node.func) == "cli.run"]
    listed = next(argument for argument in call.args if isinstance(argument, ast.Dict))
    named = {
        key.value: value.id
        for key, value in zip(listed.keys, listed.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Name)
    }
    origins = {
        alias.asname or alias.name: (str(node.module), alias.name)
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {
        verb: function_in(*origins.get(function, (f"{package}.__main__", function)))
        for verb, function in named.items()
    }  # fmt: skip


def function_in(module: str, name: str) -> ast.FunctionDef:
    """A function of a module, from its source."""
    body = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text()).body
    return next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)


def unknown(words: list[str]) -> list[str]:
    """What a command asks of make or of `python -m` that there is not."""
    if words[:1] == ["make"]:
        return [word for word in words[1:] if word not in make_targets()]
    if "-m" not in words or words[words.index("-m") + 1] not in ("bench", "analysis"):
        return []
    package, verb, *rest = words[words.index("-m") + 1 :]
    if verb not in verbs(package):
        return [verb]
    return [name for word, after in itertools.pairwise(rest) if word == "--of" for name in after.split(",")
            if name not in ZOO]  # fmt: skip


def test_there_is_a_workflow_for_checks_and_one_for_the_report() -> None:
    assert {path.name for path in WORKFLOWS} >= {"ci.yml", "report.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_exists(path: Path) -> None:
    for job in loaded(path)["jobs"].values():
        for script in steps(job, "run"):
            for words in commands(script):
                assert unknown(words) == [], words
                for word in words:
                    assert not word.startswith(".ci/") or (ROOT / word).exists()


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("make report", []), ("make reports", ["reports"]), (".venv/bin/python -m bench compares a b", ["compares"]),
        (".venv/bin/python -m bench duel a b --of dpn1_32,dpn9", ["dpn9"]), ("python -m pip install x", []),
        (".venv/bin/python -m analysis report", []),
    ],
)  # fmt: skip
def test_a_missing_command_would_be_noticed(command: str, missing: list[str]) -> None:
    assert unknown(shlex.split(command)) == missing


def test_the_report_runs_the_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"## Two commands.*?```\n(.*?)```", readme, flags=re.DOTALL)
    promised = {" ".join(words) for words in commands(block) if words}
    job = loaded(ROOT / ".github" / "workflows" / "report.yml")["jobs"]["measure"]
    assert promised == {"make report", "make test"}
    assert promised <= {" ".join(words) for script in steps(job, "run") for words in commands(script)}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_major_version(path: Path) -> None:
    used = [action for job in loaded(path)["jobs"].values() for action in steps(job, "uses")]
    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", action) for action in used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_can_write_runs_no_code_of_a_pull_request(path: Path) -> None:
    workflow = loaded(path)
    assert "pull_request_target" not in triggers(workflow)
    assert "workflow_run" not in triggers(workflow)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        if "write" in job.get("permissions", {}).values():
            assert steps(job, "run") == []
            assert not any("checkout" in action for action in steps(job, "uses"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_that_others_write_is_pasted_into_a_script(path: Path) -> None:
    for job in loaded(path)["jobs"].values():
        scripts = [*steps(job, "run"), *(options.get("script", "") for options in steps(job, "with"))]  # type: ignore[attr-defined]
        assert not any("${{" in script for script in scripts)


def test_counts_are_gated_exactly_and_time_at_25_percent() -> None:
    job = loaded(ROOT / ".github" / "workflows" / "report.yml")["jobs"]["measure"]
    by_name = {step.get("name"): step for step in job["steps"]}
    (gate,) = [words for words in commands(by_name["Gate"]["run"]) if words]
    assert "--no-gate-counts" not in gate
    assert gate[gate.index("--gate-time") + 1] == "0.25"
    (duel,) = [words for words in commands(by_name["Time base and head in turns"]["run"]) if "duel" in words]
    assert duel[duel.index("--effect") + 1] == "0.25"
    assert not any(step.get("continue-on-error") for step in job["steps"])
