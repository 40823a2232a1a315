"""Writes ``folders.zip`` beside this file, with the code of the commit that README.md names.

    PYTHONPATH=build/typing:tests/summary_format/data/earlier_version python make_run.py

The run of ``make_folders.py``, killed in its second batch, and the first of two shards of its first two images.
"""

import shutil
import socket
import tempfile
from pathlib import Path

import make_folders


def main():
    """Write both folders and pack them."""
    socket.gethostname = lambda: "host"
    folders = Path(tempfile.gettempdir()) / "run_format_2"
    make_folders.killed(folders / "unfinished")  # first, since a process that has run passes cannot be forked
    make_folders.runner(folders / "parts" / "{shard}").run(limit=2, shard=(1, 2))
    shutil.make_archive(str(Path(__file__).with_name("folders")), "zip", folders)
    shutil.rmtree(folders)


if __name__ == "__main__":
    main()
