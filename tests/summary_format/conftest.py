"""What tests of formats share."""

import fcntl
import os

import pytest


@pytest.fixture
def taken_before_locked(monkeypatch):
    """Has another writer remove the first thing in a folder just before it is locked; gives the names that it took."""

    def arrange(folder, remove):
        locked, taken = fcntl.flock, []

        def too_late(handle, how):
            if not taken:
                taken.extend(os.listdir(folder))
                remove(folder / taken[0])
            locked(handle, how)

        monkeypatch.setattr(fcntl, "flock", too_late)
        return taken

    return arrange
