"""Where the page's files go: a folder, or blocks of one HTML file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ..json_values import finite

# Of JSON in a script: "<" could end it or begin a comment there.
_IN_SCRIPTS = {ord("<"): "\\u003c", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class DataFiles(Protocol):
    """Where data of the page go, each under a name that the page asks for."""

    def put(self, name: str, value: Any) -> None:
        """Write a value that JSON can hold; what is not finite becomes null."""
        ...


class FolderFiles:
    """Data as scripts in a folder, which a page opened from a file may load where it may not fetch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, value: Any) -> None:
        text = f"explainrunData({json.dumps(name)},{script_json(value)});\n"
        path = self._folder / f"{name}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


class SingleFile:
    """Data as blocks of an HTML file that browsers keep as text until they are asked for."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def put(self, name: str, value: Any) -> None:
        text = f'<script type="application/json" data-name="{name}">{script_json(value)}</script>\n'
        self._write(text.encode())


def script_json(value: Any) -> str:
    """A value as JSON that may stand in a script of an HTML page."""
    text = json.dumps(finite(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_IN_SCRIPTS)
