"""The code blocks of Markdown pages."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import yaml
from markdown_it import MarkdownIt

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None

MARK = re.compile(r"<!-- not run: (.+?) -->")
LANGUAGES = ("python", "sh", "yaml", "ini", "toml", "json")


class Block(NamedTuple):
    """A fenced block with a language; blocks without one are output, not code."""

    page: str
    line: int
    language: str
    code: str
    mark: str | None

    def __str__(self):
        return f"{self.page}:{self.line}"


def pages(root: Path) -> list[str]:
    """The README and the pages of the site."""
    found = [path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md")]
    return ["README.md", *sorted(found)]


def blocks_of(root: Path, page: str) -> list[Block]:
    """The code blocks of a page, in order."""
    tokens = MarkdownIt("commonmark").parse((root / page).read_text("utf-8"))
    found = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence" and token.info.strip():
            mark = MARK.search(before.content) if before is not None and before.type == "html_block" else None
            found.append(Block(page, token.map[0] + 1, token.info.strip(), token.content, mark and mark[1]))
    return found


def check_syntax(block: Block) -> None:
    """Raise an error for a block that is not of its language."""
    if block.language == "python":
        ast.parse(block.code)
    elif block.language == "sh":
        done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    elif block.language == "yaml":
        yaml.safe_load(block.code)
    elif block.language == "ini":
        configparser.ConfigParser().read_string(block.code)
    elif block.language == "toml" and tomllib is not None:
        tomllib.loads(block.code)
    elif block.language == "json":
        json.loads(block.code)


def commands(code: str) -> list[list[str]]:
    """The commands of a block of shell, a list of words each; quoted texts may span lines."""
    found, one, quote = [], "", ""
    text = code.replace("\\\n", " ")
    while text:
        letter, text = text[0], text[1:]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (not one or one[-1].isspace()):
            text = text[text.index("\n") :]
            continue
        elif letter == "\n":
            found.append(one)
            one = ""
            continue
        one += letter
    return [words for command in [*found, one] if (words := shlex.split(command))]
