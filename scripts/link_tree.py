"""Lay ``build/typing/explainrun``: links that show static tools the import names that setup.cfg maps the rooms to."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Lay the links again."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    mapping = dict(line.split(" = ") for line in parser["options"]["package_dir"].strip().splitlines())
    tree = ROOT / "build" / "typing"
    shutil.rmtree(tree, ignore_errors=True)
    package = tree / "explainrun"
    package.mkdir(parents=True)
    for item in (ROOT / mapping.pop("explainrun")).iterdir():
        if item.suffix in (".py", ".typed"):
            (package / item.name).symlink_to(item)
    for name, folder in mapping.items():
        (package / name.removeprefix("explainrun.")).symlink_to(ROOT / folder)


if __name__ == "__main__":
    main()
