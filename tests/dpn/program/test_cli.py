"""The command line itself: words find their verb, an expected error is one line, exit codes say what happened."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dpn.program import cli
from dpn.verbs.export import export
from dpn.verbs.predict import predict
from dpn.verbs.sheet import show

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[3]
TRY_AGAIN = "try again; if it comes back, see to this machine's disks, network and memory"


def add(first: int, second: int = 2) -> None:
    """Adds two numbers.

    Args:
        first: one of them.
        second: the other.
    """
    print(first + second)


def code(number: int) -> int:
    """Leaves with a number."""
    return number


def raising(error: BaseException) -> Callable[[], None]:
    def verb() -> None:
        """Fails."""
        raise error

    return verb


def named(name: str) -> Callable[..., None]:
    if name != "known":
        raise KeyError(f"no recipe named {name!r}; there is known")

    def verb(epochs: int = 3) -> None:
        """Trains the known recipe."""
        print(name, epochs)

    return verb


VERBS: Mapping[str, cli.Verb | cli.Group | cli.ByName] = {
    "add": add,
    "code": code,
    "data": cli.Group("Works on data.", {"add": add, "code": code}),
    "train": cli.ByName("RECIPE", "Trains a recipe.", named),
}


def typed(*words: str, verbs: Mapping[str, cli.Verb | cli.Group | cli.ByName] = VERBS) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.run("prog", "Does things.", verbs, words)
    return int(caught.value.code or 0)


def failing(error: BaseException) -> Mapping[str, cli.Verb]:
    return {"fail": raising(error), "add": add}


def test_words_find_their_verb(capsys: Capture) -> None:
    assert typed("add", "--first", "40") == 0
    assert capsys.readouterr().out == "42\n"
    assert typed("data", "add", "--first", "1", "--second", "1") == 0
    assert capsys.readouterr().out == "2\n"
    assert typed("train", "known", "--epochs", "5") == 0
    assert capsys.readouterr().out == "known 5\n"


def test_a_verbs_own_number_is_the_exit_code() -> None:
    assert [typed("code", "--number", number) for number in ("0", "1", "130")] == [0, 1, 130]
    assert typed("data", "code", "--number", "3") == 3


def test_the_words_of_the_process_are_taken_where_none_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "argv", ["prog", "add", "--first", "5"])
    with pytest.raises(SystemExit):
        cli.run("prog", "", VERBS)
    assert capsys.readouterr().out == "7\n"


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (
            ("--help",),
            ("Does things.", "Adds two numbers.", "Works on data. Verbs: add, code.", "A RECIPE must follow."),
        ),
        (("data", "--help"), ("prog data", "Works on data.", "Adds two numbers.", "Leaves with a number.")),
        (("data", "add", "--help"), ("prog data add", "--first", "one of them.", "(default: 2)")),
        (("train", "known", "--help"), ("prog train known", "Trains the known recipe.", "--epochs", "(default: 3)")),
    ],
)
def test_help(words: tuple[str, ...], texts: tuple[str, ...], capsys: Capture) -> None:
    assert typed(*words) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(text in shown for text in texts), shown


@pytest.mark.parametrize(
    "words",
    [
        (), ("nonsense",), ("data",), ("data", "nonsense"), ("data", "train"), ("add",), ("add", "--first", "x"),
        ("add", "--first", "1", "--third", "2"), ("train", "known", "--number", "2"),
    ],
)  # fmt: skip
def test_what_is_no_command_is_refused_with_code_2_and_its_help_named(words: tuple[str, ...], capsys: Capture) -> None:
    assert typed(*words) == 2
    told = capsys.readouterr()
    assert not told.out
    assert "--help" in told.err


def test_a_name_that_is_missing_or_wrong(capsys: Capture) -> None:
    assert typed("train") == 1
    assert capsys.readouterr().err == "error: name a RECIPE, then --help shows its options\n"
    assert typed("train", "known2") == 1
    assert capsys.readouterr().err == "error: no recipe named 'known2'; there is known\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyError("no such name; there is another"), "no such name; there is another"),
        (ValueError("two\n  lines"), "two lines"),
        (RuntimeError(), "RuntimeError"),
        (OSError("x cannot be written; give another"), "x cannot be written; give another"),
        (
            PermissionError(13, "Permission denied", "/root/x"),
            "/root/x: Permission denied; give the path of a file that can be read or written",
        ),
        (OSError(28, "No space left on device"), "No space left on device; see where the output goes"),
        (
            OSError(28, "No space left on device", "a/b"),
            "a/b: No space left on device; give the path of a file that can be read or written",
        ),
        (OSError(5, "Input/output error"), f"Input/output error; {TRY_AGAIN}"),
        (OSError(12, "Cannot allocate memory"), f"Cannot allocate memory; {TRY_AGAIN}"),
        (OSError(116, "Stale file handle", "a/b"), f"a/b: Stale file handle; {TRY_AGAIN}"),
        (MemoryError(), "there is not enough memory; ask for less at a time, or for something smaller"),
        (MemoryError("8 GB"), "8 GB; ask for less at a time, or for something smaller"),
    ],
)
def test_an_expected_error_is_one_line_with_code_1(error: BaseException, line: str, capsys: Capture) -> None:
    assert typed("fail", verbs=failing(error)) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"error: {line}\n")


def test_a_bug_shows_where_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.run("prog", "", failing(ZeroDivisionError()), ["fail"])


def test_an_expected_error_shows_where_it_is_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPN_TRACEBACK", "1")
    with pytest.raises(ValueError, match="here"):
        cli.run("prog", "", failing(ValueError("here")), ["fail"])


def test_ctrl_c_is_one_line_with_code_130(capsys: Capture) -> None:
    assert typed("fail", verbs=failing(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "error: stopped; what was finished is kept, start again to continue\n"


@pytest.mark.parametrize(("say", "lines"), [("print", 100_000), ("Console().print", 10_000)])
def test_a_reader_that_has_seen_enough_ends_the_program_without_a_word(say: str, lines: int) -> None:
    """As in `python -m dpn data info DATA | head -1`, and with the code of SIGPIPE; rich leaves with 1 by itself."""
    script = (
        "from rich.console import Console\nfrom dpn.program import cli\n"
        "def talk() -> None:\n"
        f"    for _ in range({lines}): {say}('a line')\n"
        "cli.run('prog', '', {'talk': talk, 'other': talk}, ['talk'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == "a line\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("lambda: print('a line')", 141),
        ("lambda: sys.exit(print('a line') or 3)", 141),
        ("lambda: [print('a line'), int('x')]", 1),  # what is wrong is said, whoever reads
    ],
)
def test_so_it_is_where_the_little_that_there_is_to_read_comes_at_the_end(call: str, code: int) -> None:
    """Python keeps a few lines until the program ends, and says then, in two lines, that nobody wanted them."""
    script = (
        f"import sys\nfrom dpn.program import cli\ncli.run('prog', '', {{'talk': {call}, 'other': print}}, ['talk'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == code
    assert said.count("\n") == (code == 1)
    assert said.startswith("error: " if code == 1 else "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_disk_is_one_line() -> None:
    call = "cli.run('prog', '', {'talk': lambda: print('a line'), 'other': print}, ['talk'])"
    script = f"from dpn.program import cli\n{call}\n"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: No space left on device; see where the output goes\n")


@pytest.mark.parametrize("columns", ["1", "5"])
def test_help_ends_in_a_terminal_of_a_few_columns(columns: str) -> None:
    """Below some ten columns the help's layout would never end."""
    script = (
        "from dpn.program import cli\ncli.run('prog', 'Does things.', {'talk': print, 'other': print}, ['--help'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env=os.environ | {"COLUMNS": columns},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "things." in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "ascii:surrogateescape"])  # the latter in the locale C
def test_a_terminal_that_lacks_a_letter_gets_a_question_mark(encoding: str) -> None:
    call = "cli.run('prog', '', {'talk': lambda: print('3 \u00d7 3'), 'other': print}, ['talk'])"
    script = f"from dpn.program import cli\n{call}\n"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", script], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 ? 3\n", "")


def test_every_verb_of_the_program_has_help_and_no_torch_is_loaded_for_it() -> None:
    script = (
        "import runpy, sys\n"
        "sys.argv = ['dpn', '--help']\n"
        "try: runpy.run_module('dpn', run_name='__main__')\n"
        "except SystemExit as error: assert not error.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("train", "evaluate", "predict", "score", "oracle", "data", "checkpoint"):
        assert f" {verb} " in done.stdout


@pytest.mark.parametrize("verb", [export, predict, show], ids=["export", "predict", "data show"])
def test_what_is_written_may_be_named_by_output_or_out(verb: cli.Verb, capsys: Capture) -> None:
    assert typed("it", "--help", verbs={"it": verb, "add": add}) == 0
    shown = capsys.readouterr().out
    assert re.search(r"--out\b", shown)
    assert re.search(r"--output\b", shown)
