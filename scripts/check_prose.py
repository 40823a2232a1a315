"""Find words that a native reader has to decode, in documents, docstrings, comments and messages.

    python scripts/check_prose.py [FOLDER]

Prints a line for each: file, line, the words and what to write instead. Exits with 1 if there are any. Of Python files
it reads docstrings, comments and texts with a space or with a full stop at their end; of other files every line. A
word in backticks or before a parenthesis, and the name of an argument in a docstring, are names and are not read.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
READ = (
    *("*.md", "*.cff", ".github/**/*.md", "docs/**/*.md", "mkdocs.yml"),
    *("summary_format/**/*.py", "explainers/**/*.py", "benchmarks/**/*.py", "runner/**/*.py"),
    *("configs/**/*.py", "configs/**/*.yaml", "scripts/**/*"),
)
NOT_READ = ("scripts/check_prose.py", "*/_gen/*", "*/__pycache__/*")  # the list itself, and generated files


class Rule(NamedTuple):
    """Words to avoid, and what to write instead."""

    words: re.Pattern[str]
    instead: str


class Allowed(NamedTuple):
    """A phrase that stays, in the files that a pattern names, and why."""

    files: str
    phrase: str
    reason: str


class Passage(NamedTuple):
    """A text that is read as one, and the lines of its file that it stands on, counted from 1."""

    text: str
    first: int
    last: int


class Finding(NamedTuple):
    """Words to avoid, and where they stand."""

    file: str
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        return f'{self.file}:{self.line}: "{self.words}": write {self.instead}'


def _rule(words: str, instead: str) -> Rule:
    return Rule(re.compile(words, re.IGNORECASE), instead)


_UNIT = "(?:axis|batch|box|channel|class|coalition|day|explainer|folder|image|label|layer|line|map|mask|metric|minute"
_UNIT += "|module|night|pass|picture|pixel|pod|question|row|run|sample|second|session|shard|step|task|window)"
_COUNTED = "bits|bytes|images?|labels|once|one|numbers?|pass|passes|rows?|seconds"
RULES = (
    _rule(r"\btell(?:s|ing)?\b|\btold\b", "report, say, show or distinguish"),
    _rule(r"\banew\b", "again, start over or recompute"),
    _rule(r"\bgo(?:es|ing|ne)? on\b", "resume, continue, run or pass"),
    _rule(r"\bbeyond\b", "out of range or more than"),
    _rule(r"\blikewise\b", "the same, or what is meant"),
    _rule(r"\bnobody\b", "no one, unknown, or what is missing"),
    _rule(r"\b(?:is|are|was|were|be) no (?!better|evidence|faster|fewer|less|longer|matter|more)[a-z{`]+", "is not a"),
    _rule(r"\bas good as ever\b", "as good as before"),
    _rule(r"\btak(?:es?|ing) on a change\b|\btakes? (?:a change|changes) on\b", "accept"),
    _rule(rf"(?<!how many )\b(?:an? [a-z]+|{_COUNTED}) an? {_UNIT}\b(?! (?:has|is)\b)", "... per ..."),
)
ALLOWED = (
    Allowed("*", r"there (?:is|are|was|were) no", "says that something does not exist, not that it is something else"),
    Allowed("*", r"beyond (?:the )?noise", "more than chance explains; every table uses the phrase"),
    Allowed("runner/cli/inspect.py", r"unlabelled, beyond,", "keys of the JSON that it prints"),
    Allowed("scripts/ci/gate.sh", r'tell(?= ")', "a function's name"),
)
_NAMES = re.compile(r"`+[^`\s]+`+|\b\w+\(|^\s*\w+: ", re.MULTILINE)


def _python_passages(source: str) -> Iterator[Passage]:
    """The texts of Python source that people read; a comment of several lines is one."""
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in parts:
            text = _text_of(node)
            if re.search(r"\w\s|\s\w|\w\.$", text):
                yield Passage(text, node.lineno, node.end_lineno or node.lineno)
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if comments and comments[-1][0] + 1 != token.start[0]:
                yield _joined(comments)
                comments = []
            comments.append((token.start[0], token.string.lstrip("# ")))
    if comments:
        yield _joined(comments)


def _text_of(node: ast.Constant | ast.JoinedStr) -> str:
    """What a literal says; ``{}`` for what an f-string fills in, and nothing for other literals."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(_text_of(part) if isinstance(part, ast.Constant) else "{}" for part in node.values)


def _joined(lines: list[tuple[int, str]]) -> Passage:
    return Passage("\n".join(text for _, text in lines), lines[0][0], lines[-1][0])


def _text_passages(source: str) -> Iterator[Passage]:
    """The paragraphs of any other file, without the signs that begin a comment."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        if line.strip():
            lines.append((number, line.lstrip("# ")))
        elif lines:
            yield _joined(lines)
            lines = []


def findings(file: str, source: str) -> list[Finding]:
    """What stands in a file that should not.

    Args:
        file: its path in the repository, with slashes.
        source: its text.
    """
    lines = source.splitlines()
    found = set()
    for passage in _python_passages(source) if file.endswith(".py") else _text_passages(source):
        text = _prose(file, passage.text)
        for words, instead in RULES:
            for match in words.finditer(text):
                on = [n for n in range(passage.first, passage.last + 1) if words.search(_prose(file, lines[n - 1]))]
                found |= {Finding(file, line, match[0], instead) for line in on or [passage.first]}
    return sorted(found)


def _prose(file: str, text: str) -> str:
    """A text without names and allowed phrases, in one line."""
    text = " ".join(_NAMES.sub(" `` ", text).split())
    for files, phrase, _ in ALLOWED:
        if fnmatch(file, files):
            text = re.sub(phrase, "``", text, flags=re.IGNORECASE)
    return text


def read_files(root: Path) -> list[str]:
    """The paths of the files to read, relative to the repository's folder."""
    found = {path for pattern in READ for path in root.glob(pattern) if path.is_file()}
    names = sorted(path.relative_to(root).as_posix() for path in found)
    return [name for name in names if not any(fnmatch(name, left_out) for left_out in NOT_READ)]


def main(root: Path = ROOT) -> int:
    """Print what is found and give the exit code."""
    found = [one for name in read_files(root) for one in findings(name, (root / name).read_text("utf-8"))]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
