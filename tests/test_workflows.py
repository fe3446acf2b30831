"""The workflows call what exists, and code of a pull request never runs with a token that can write."""

import ast
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tyro

from bench.sweeps.plan import Plan
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
    """Every command of a shell script, in words, without where its output goes; a final backslash joins lines."""
    for line in script.replace("\\\n", " ").splitlines():
        for command in re.split(r"\s(?:&&|\|\||;|\|)\s", line):
            yield [word for word in shlex.split(command, comments=True) if word != "2>&1"]


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
    return [name for word, after in itertools.pairwise(rest) if (verb, word) == ("duel", "--of")
            for name in after.split(",") if name not in ZOO]  # fmt: skip


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


def test_every_command_of_the_readme_exists() -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)
    asked = [words for language, block in blocks if not language for words in commands(block) if words]
    assert sum("bench" in words for words in asked) > 10
    assert [words for words in asked if unknown(words)] == []


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


def measuring_steps() -> dict[str, dict[str, Any]]:
    job = loaded(ROOT / ".github" / "workflows" / "report.yml")["jobs"]["measure"]
    return {step["name"]: step for step in job["steps"] if "name" in step}


PYTHON = '#!/bin/sh\nprintf "%s\\n" "$@" > asked.txt\n'
"""Writes its arguments into a file, one a line."""


def run_step(name: str, folder: Path, python_script: str = PYTHON, **environ: str) -> int:
    """Runs a step's script as the workflow does, with a `python` of the test's; returns its exit status."""
    workflow = loaded(ROOT / ".github" / "workflows" / "report.yml")
    assert workflow["defaults"]["run"]["shell"] == "bash"  # which GitHub starts with -e and pipefail
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(python_script)
    python.chmod(0o755)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", measuring_steps()[name]["run"]]
    return subprocess.run(command, cwd=folder, env=os.environ | {"GITHUB_EVENT_NAME": "push"} | environ).returncode


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit, tagged `base`."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "The first")
    git(tmp_path, "tag", "base")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str) -> None:
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)


@pytest.mark.parametrize(
    ("messages", "changed", "removed"),
    [
        (["A change"], "", False),
        (["A change\n\nAllow-changed: dpn4_64, layers\n"], "dpn4_64, layers", False),
        (["One\n\nAllow-changed: dpn4_64", "Two\n\nAllow-removed: yes\nAllow-changed: macs"], "macs,dpn4_64", True),
        (["A change\n\nAllow-changed: all of what\nis below is quoted, this is no trailer.\n\nThe end."], "", False),
        (["A change\n\nAllow-changed: $(touch broken); --out=x"], "$(touch broken); --out=x", False),
        (["One\n\nAllow-removed: no"], "", False),
        (["One\n\nAllow-removed: no", "Two\n\nAllow-removed: yes"], "", True),
    ],
)
def test_what_a_commit_says_was_meant_is_let_pass(
    repository: Path, messages: list[str], changed: str, removed: bool
) -> None:
    commit(repository, "Older\n\nAllow-changed: all\nAllow-removed: yes")  # of the base, and so of no concern
    git(repository, "tag", "--force", "base")
    for message in messages:
        commit(repository, message)
    assert run_step("Gate", repository, BASE="base", HEAD="HEAD") == 0
    asked = (repository / "asked.txt").read_text().splitlines()
    assert f"--allow-changed={changed}" in asked
    assert ("--allow-removed" in asked) is removed
    assert not (repository / "broken").exists()


def test_every_option_of_compare_exists() -> None:
    asked = {
        word.partition("=")[0]
        for step in measuring_steps().values()
        for words in commands(step["run"])
        if "compare" in words
        for word in words
        if word.startswith("--")
    } | {"--allow-removed"}
    command = [sys.executable, "-m", "bench", "compare", "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert asked >= {"--allow-changed", "--also-fails", "--gate-time"}
    assert {option for option in asked if not re.search(rf"{option}\b", said)} == set()


def test_what_was_wrong_with_the_report_is_a_reason_to_fail(repository: Path) -> None:
    wrong = (
        "differs: macs of a: stored 5\nerror: a stored count is contradicted\nmake: *** [Makefile:18: report] Error 1\n"
    )
    (repository / "report.log").write_text("counted a\nmake: Nothing to be done\n" + wrong + "no error: none\n")
    assert base_of(repository, BASE="base") == revision(repository, "base")
    assert (repository / "reasons.txt").read_text() == wrong


def base_of(repository: Path, **environ: str) -> str:
    """The commit that a checkout is compared with."""
    name = "Find the base, and what was wrong with the report"
    assert run_step(name, repository, GITHUB_ENV="environ", **environ) == 0
    (line,) = (repository / "environ").read_text().splitlines()
    return line.removeprefix("BASE=")


def revision(repository: Path, name: str) -> str:
    return subprocess.check_output(["git", "rev-parse", name], cwd=repository, text=True).strip()


def test_a_pull_request_is_compared_with_the_base_branch_of_now(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "request")
    commit(repository, "The request")
    git(repository, "checkout", "--quiet", "-b", "now", "base")
    commit(repository, "Merged since")
    git(repository, "checkout", "--quiet", "-b", "merge")
    git(repository, "merge", "--quiet", "--no-ff", "-m", "Merge", "request")
    stale = revision(repository, "base")
    assert base_of(repository, GITHUB_EVENT_NAME="pull_request", BASE=stale) == revision(repository, "now")


@pytest.mark.parametrize(("commits", "base"), [(0, "HEAD"), (1, "base")])
def test_a_push_to_a_new_branch_is_compared_with_the_commit_before(repository: Path, commits: int, base: str) -> None:
    for _ in range(commits):
        commit(repository, "Another")
    assert base_of(repository, BASE="0" * 40) == revision(repository, base)


@pytest.mark.parametrize(
    ("said", "code", "reasons"),
    [
        ("dpn1_32: round 1 of 5 to 20", 0, ""),
        ("error: dpn9 is no network", 2, "error: dpn9 is no network\n"),
        ("Killed", 137, "error: the duel gave no verdict\n"),
    ],
)
def test_a_duel_that_was_not_fought_is_a_reason_to_fail(repository: Path, said: str, code: int, reasons: str) -> None:
    (repository / "bench").mkdir()
    (repository / "bench/worker.py").write_text("")
    git(repository, "add", "bench")
    commit(repository, "Networks can be timed")
    (repository / "reasons.txt").write_text("differs: a\n")
    python = f"#!/bin/sh\necho '{{}}'\necho '{said}' >&2\nexit {code}\n"
    assert run_step("Time base and head in turns", repository, python, BASE="HEAD") == (2 if code else 0)
    assert (repository / "reasons.txt").read_text() == "differs: a\n" + reasons
    assert (repository / "duels.jsonl").read_text() == "{}\n"


def test_summary_and_comment_are_written_whatever_became_of_the_report() -> None:
    found = measuring_steps()
    assert found["Write the summary"]["if"] == "${{ !cancelled() }}"
    assert found["Gate"]["if"] == "${{ !cancelled() && github.event_name == 'pull_request' }}"
    for name in ("Write the summary", "Gate"):
        assert "--also-fails reasons.txt" in found[name]["run"]


def test_what_was_merged_is_published_and_not_judged_again() -> None:
    workflow = loaded(ROOT / ".github" / "workflows" / "report.yml")
    assert workflow["jobs"]["publish"]["needs"] == "measure"
    judging = [
        step for step in measuring_steps().values()
        for words in commands(step["run"]) if "compare" in words and "--no-gate-counts" not in words
    ]  # fmt: skip
    assert [step["name"] for step in judging] == ["Gate"]


def test_a_run_that_is_started_again_replaces_its_artifacts_and_publishes_the_page_of_that_attempt() -> None:
    jobs = loaded(ROOT / ".github" / "workflows" / "report.yml")["jobs"]
    stored = [step for step in jobs["measure"]["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]
    assert len(stored) == 2
    assert all(step["with"]["overwrite"] for step in stored)
    (page,) = [step for step in jobs["measure"]["steps"] if "upload-pages-artifact" in step.get("uses", "")]
    assert page["if"] == "${{ success() && github.event_name == 'push' }}"
    assert page["with"]["name"] == jobs["measure"]["outputs"]["page"] == "github-pages-${{ github.run_attempt }}"
    (deployed,) = jobs["publish"]["steps"]
    assert deployed["with"]["artifact_name"] == "${{ needs.measure.outputs.page }}"


def test_counts_are_gated_exactly_stored_times_at_half_and_those_in_turns_at_25_percent() -> None:
    job = loaded(ROOT / ".github" / "workflows" / "report.yml")["jobs"]["measure"]
    by_name = measuring_steps()
    (gate,) = [words for words in commands(by_name["Gate"]["run"]) if "compare" in words]
    assert "--no-gate-counts" not in gate
    assert gate[gate.index("--gate-time") + 1] == "0.5"
    (duel,) = [words for words in commands(by_name["Time base and head in turns"]["run"]) if "duel" in words]
    assert duel[duel.index("--effect") + 1] == "0.25"
    assert not any(step.get("continue-on-error") for step in job["steps"])


@pytest.mark.parametrize(("signs", "kept"), [((".begun",), False), ((".begun", ".installed"), True), ((), True)])
def test_make_begins_a_venv_anew_that_it_never_finished(signs: tuple[str, ...], kept: bool, tmp_path: Path) -> None:
    """One that somebody else has made stays, too."""
    for name in ("Makefile", "pyproject.toml", ".ci/constraints.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to("/bin/false")  # which pip refuses
    for sign in signs:
        (tmp_path / ".venv" / sign).touch()
        os.utime(tmp_path / ".venv" / sign, (0, 0))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" --without-pip\n')
    python.chmod(0o755)
    command = ["make", f"PYTHON={python}", ".venv/.installed"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 2  # there is no pip
    assert (own.resolve() == Path("/bin/false").resolve()) is kept


MEASURED = re.findall(r"-m bench measure (.+)", (ROOT / "Makefile").read_text())


def test_the_makefile_measures_something() -> None:
    assert any("--metric latency" in options for options in MEASURED)


@pytest.mark.parametrize("options", MEASURED)
def test_what_the_makefile_measures_is_a_plan_that_can_be_kept(options: str) -> None:
    """A store that has the records already would not tell."""
    plan, _ = tyro.cli(Plan, args=options.split(), return_unknown_args=True, use_underscores=False)
    plan.check()
