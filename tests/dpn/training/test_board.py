"""Curves end quietly: whatever a full disk refuses is told of once, by what wrote it."""

from pathlib import Path

import pytest

from dpn.training.board import Board


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is full")
def test_a_full_disk_does_not_raise_again_when_the_file_is_closed() -> None:
    board = Board.__new__(Board)
    with Path("/dev/full").open("wb") as file:
        board._records = file
        file.write(b"an event")
        board.close()
        assert file.closed
