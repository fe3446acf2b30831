"""An error of data says one thing in one line, knows all, and survives its way between processes."""

import pickle

from dpn.data.problems import DataError, Problem

PROBLEMS = tuple(Problem("a.json", f"annotations[{n}].bbox", "is\n negative", "mend it") for n in range(3))


def test_the_message_is_one_line_and_counts_the_rest() -> None:
    error = DataError(PROBLEMS)
    assert str(error) == (
        "a.json: annotations[0].bbox: is negative; mend it "
        "(and 2 more; of a data set, python -m dpn data check lists all)"
    )
    assert str(DataError(PROBLEMS[0])) == str(PROBLEMS[0])
    assert str(Problem("a.json", "", "is missing", "fetch it")) == "a.json: is missing; fetch it"


def test_an_error_of_another_process_is_the_same_error() -> None:
    found = pickle.loads(pickle.dumps(DataError(PROBLEMS)))
    assert found.problems == PROBLEMS
    assert str(found) == str(DataError(PROBLEMS))
