"""What names the code that runs: every edit makes another name, and git is not needed for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpn import checkout
from tests.test_workflows import commit, git, revision


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout of two modules."""
    for name in ("bench/worker.py", "dpn/networks/dpn.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    checkout.commit.cache_clear()
    checkout.code.cache_clear()


def code() -> str:
    """As another process would name it."""
    forget()
    return checkout.code()


def test_every_edit_makes_other_code_and_what_is_no_code_does_not(tree: Path) -> None:
    network = tree / "dpn/networks/dpn.py"
    first = code()
    (tree / "README.md").write_text("more\n")
    (tree / "dpn/weights.bin").write_bytes(b"1")
    assert code() == first
    network.write_text("x = 2\n")
    edited = code()
    (tree / "dpn/networks/new.py").write_text("")
    added = code()
    (tree / "dpn/networks/new.py").rename(tree / "dpn/networks/other.py")
    assert len({first, edited, added, code()}) == 4
    (tree / "dpn/networks/other.py").unlink()
    network.write_text("x = 1\n")
    assert code() == first


def test_code_has_a_name_without_git(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = code()
    monkeypatch.setenv("PATH", str(tree))
    monkeypatch.delenv("DPN_COMMIT", raising=False)
    assert code() == named
    assert checkout.commit() == ("unknown", True)


@pytest.mark.parametrize("name", ["0123abc", "0123ABC", "0123456789abcdef0123456789abcdef01234567"])
def test_a_variable_names_the_commit_where_git_cannot(name: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tree
    monkeypatch.setenv("DPN_COMMIT", name)
    answers = {"rev-parse": None, "status": ""}
    monkeypatch.setattr(checkout, "_git", lambda command, *_: answers[command])
    assert checkout.commit() == (name.lower(), False)
    answers["rev-parse"] = "fedcba9"
    forget()
    assert checkout.commit() == ("fedcba9", False)


@pytest.mark.parametrize("name", ["main", "0123ab", "0123abcd\n", "0" * 41])
def test_a_variable_that_names_no_commit_is_refused(name: str, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tree
    monkeypatch.setenv("DPN_COMMIT", name)
    monkeypatch.setattr(checkout, "_git", lambda *_: None)
    with pytest.raises(ValueError, match=r"^DPN_COMMIT='.*' is no commit; set it to what git rev-parse HEAD says"):
        checkout.commit()


def test_a_checkout_of_which_git_does_not_say_is_taken_to_differ(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tree
    answers = {"rev-parse": "0123abcd", "status": None}
    monkeypatch.setattr(checkout, "_git", lambda command, *_: answers[command])
    assert checkout.commit() == ("0123abcd", True)
    answers["status"] = ""
    forget()
    assert checkout.commit() == ("0123abcd", False)


@pytest.fixture
def repository(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkout as the one commit of a repository."""
    monkeypatch.delenv("DPN_COMMIT", raising=False)
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    commit(tree, "The first")
    return tree


def test_a_repository_around_the_files_is_not_taken_for_theirs(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As around a virtual environment, or in a hook of git's, which names the repository by a variable."""
    monkeypatch.setattr(checkout, "ROOT", repository / "dpn")
    assert checkout.commit() == ("unknown", True)
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("DPN_COMMIT", "0123abc")
    forget()
    assert checkout.commit() == ("0123abc", False)


def test_a_checkout_and_a_linked_worktree_are_asked_each_for_its_own(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, linked = revision(repository, "HEAD"), repository / "linked"
    git(repository, "worktree", "add", "--quiet", str(linked))
    commit(linked, "The second")
    (linked / "dpn/networks/dpn.py").write_text("x = 2\n")
    assert checkout.commit() == (first, False)
    monkeypatch.setattr(checkout, "ROOT", linked)
    forget()
    assert checkout.commit() == (revision(linked, "HEAD"), True)
    assert revision(linked, "HEAD") != first
