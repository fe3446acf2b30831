import errno
import fcntl
import json

import pytest

from bench.sweeps.journal import Journal


def test_a_dead_sweeps_results_are_taken_over_and_a_finished_cell_is_forgotten(tmp_path):
    dead = Journal(tmp_path)
    dead.add("a", {"n": 1})
    dead.add("a", {"n": 2})
    dead.add("b", {"n": 3})
    dead._file.close()  # what the system does when a process is killed
    with Journal(tmp_path) as journal:
        assert journal.results("a") == [{"n": 1}, {"n": 2}]
        journal.add("a", {"n": 4})
        journal.done("a")
        assert journal.results("a") == []
    with Journal(tmp_path) as journal:  # b still waits for its record
        assert (journal.results("a"), journal.results("b")) == ([], [{"n": 3}])
        journal.done("b")
    assert list(tmp_path.iterdir()) == []


def test_a_living_sweeps_journal_is_left_alone(tmp_path):
    with Journal(tmp_path) as living:
        living.add("a", {"n": 1})
        with Journal(tmp_path) as other:
            assert other.results("a") == []
        assert living.results("a") == [{"n": 1}]
        living.done("a")
    assert list(tmp_path.iterdir()) == []


def test_what_is_forgotten_is_counted(tmp_path):
    with Journal(tmp_path) as journal:
        for key in ("a", "a", "b"):
            journal.add(key, {"n": 1})
        assert journal.keep_only(lambda key: key == "b") == {"a": 2}
        assert (journal.results("a"), journal.results("b")) == ([], [{"n": 1}])


def test_a_torn_line_costs_its_own_result_only(tmp_path):
    torn = tmp_path / ".journal-0.jsonl"
    torn.write_bytes(json.dumps({"key": "a", "result": {"n": 1}}).encode() + b'\n{"key": "a", "res')
    with Journal(tmp_path) as journal:
        assert journal.results("a") == [{"n": 1}]


@pytest.mark.parametrize("line", ["1", "null", "[]", '{"result": {}}', '{"key": 1}', '{"key": "a", "result": 1}',
                                  pytest.param("[" * 100_000, id="deep")])  # fmt: skip
def test_a_line_that_is_no_entry_costs_nothing(line, tmp_path):
    (tmp_path / ".journal-0.jsonl").write_text(line + '\n{"key": "a", "result": {"n": 1}}\n')
    with Journal(tmp_path) as journal:
        assert journal.results("a") == [{"n": 1}]


def test_without_locks_there_is_no_journal_and_what_was_left_stays(tmp_path, monkeypatch):
    left = tmp_path / ".journal-0.jsonl"
    left.write_text('{"key": "a", "result": {}}\n')

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match=r"cannot be locked .*; name a folder on another file system,"):
        Journal(tmp_path)
    assert list(tmp_path.iterdir()) == [left]


def test_the_lock_is_really_held(tmp_path):
    with Journal(tmp_path) as journal, journal._path.open("ab") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise AssertionError("another process could have taken the journal")
