"""Every verb of every program can be asked for help, which parses all of its options."""

import ast
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def verbs(program: str) -> list[tuple[str, ...]]:
    """The words that each verb of a program is called by, from the dictionaries that `cli.run` is given."""
    tree = ast.parse((ROOT / program / "__main__.py").read_text())
    (call,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "cli.run"
    )  # fmt: skip
    named = call.args[2]
    assert isinstance(named, ast.Dict)
    return [(program, str(ast.literal_eval(key))) for key in named.keys if key is not None]


@pytest.mark.parametrize("words", [words for program in ("dpn", "bench", "analysis") for words in verbs(program)])
@pytest.mark.filterwarnings("ignore:.*found in sys.modules after import of package")
def test_a_verb_explains_itself(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *rest = words
    monkeypatch.setattr(sys, "argv", [program, *rest, "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(program, run_name="__main__", alter_sys=False)
    assert caught.value.code in (0, None)
    assert re.search(r"usage: .*" + re.escape(rest[0]), capsys.readouterr().out)
