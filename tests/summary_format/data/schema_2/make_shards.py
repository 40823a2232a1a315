"""Writes ``folders.zip`` beside this file, with the code of the commit that README.md names.

    PYTHONPATH=build/typing:tests/summary_format/data/earlier_version python make_shards.py

A whole run of two images, and its two shards.
"""

import shutil
import socket
import tempfile
from pathlib import Path

from make_folders import runner


def main():
    """Write all folders and pack them."""
    socket.gethostname = lambda: "host"
    folders = Path(tempfile.gettempdir()) / "schema_2"
    runner(folders / "whole").run(limit=2)
    for number in (1, 2):
        runner(folders / "parts" / "{shard}").run(limit=2, shard=(number, 2))
    shutil.make_archive(str(Path(__file__).with_name("folders")), "zip", folders)
    shutil.rmtree(folders)


if __name__ == "__main__":
    main()
