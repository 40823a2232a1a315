"""List the kinds of problems that the source reports, as docs/problems.md has them.

    python scripts/list_problems.py [--write]

Prints the table, or writes it into the document. Of each ``Problem.of(code, words, ...)`` the code and the words are
read off the source, so both are texts that stand there, or names that are given such a text before.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("summary_format", "explainers", "benchmarks", "runner")
DOCUMENT = ROOT / "docs" / "problems.md"
BEGIN = "| code | sentence | in |\n|---|---|---|\n"


class Kind(NamedTuple):
    """A kind of problem: its code, its words with the names of its values in braces, and the module that reports it."""

    code: str
    words: str
    module: str

    @property
    def values(self) -> tuple[str, ...]:
        """The names of what the sentence holds, each once."""
        return tuple(dict.fromkeys(name for _, name, _, _ in Formatter().parse(self.words) if name is not None))


def kinds(root: Path = ROOT) -> list[Kind]:
    """All kinds of problems, in the order of their codes; one that stands several times comes several times."""
    paths = sorted(path for source in SOURCES for path in (root / source).rglob("*.py"))
    found = (kind for path in paths for kind in _kinds_in(path, path.relative_to(root).as_posix()))
    return sorted(found)


def table(found: list[Kind]) -> str:
    """The table of a list of kinds, in Markdown."""
    rows = [f"| `{one.code}` | {_cell(one.words)} | `{one.module}` |\n" for one in _each_once(found)]
    return BEGIN + "".join(rows)


def document(found: list[Kind], before: str) -> str:
    """The document with its table renewed, which is what stands last in it."""
    head, begin, _ = before.partition(BEGIN)
    if not begin:
        raise SystemExit(f"{DOCUMENT} has no table to renew")
    return head + table(found)


def _each_once(found: list[Kind]) -> Iterator[Kind]:
    seen = set[str]()
    for one in found:
        if one.code not in seen:
            seen.add(one.code)
            yield one


def _cell(words: str) -> str:
    """Words as a cell shows them: names of values alone in braces, and nothing that Markdown takes for its own."""
    parts = [text + ("" if name is None else f"{{{name}}}") for text, name, _, _ in Formatter().parse(words)]
    return "`" + "".join(parts).replace("|", "\\|") + "`"


def _kinds_in(path: Path, module: str) -> Iterator[Kind]:
    tree = ast.parse(path.read_text("utf-8"))
    texts = [
        (node.lineno, *pair) for node in ast.walk(tree) if isinstance(node, ast.Assign) for pair in _texts_of(node)
    ]
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Problem.of":
            code, words = (_text(given, call.lineno, texts) for given in call.args)
            if code is None or words is None:
                raise SystemExit(f"{module}:{call.lineno}: the code and the words of a problem must be literal texts")
            yield Kind(code, words, module)


def _texts_of(node: ast.Assign) -> Iterator[tuple[str, str]]:
    """The names that an assignment gives texts, and those."""
    target, value = node.targets[0], node.value
    pairs: list[tuple[ast.expr, ast.expr]] = [(target, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=True))
    for name, text in pairs:
        if isinstance(name, ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
            yield name.id, text.value


def _text(given: ast.expr, line: int, texts: list[tuple[int, str, str]]) -> str | None:
    """A literal text, or the one that a name was given last before a line."""
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return given.value
    name = given.id if isinstance(given, ast.Name) else None
    before = [(at, text) for at, known, text in texts if known == name and at <= line]
    return max(before)[1] if before else None


def main() -> None:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write it into docs/problems.md")
    if parser.parse_args().write:
        DOCUMENT.write_text(document(kinds(), DOCUMENT.read_text("utf-8")), "utf-8")
    else:
        print(table(kinds()), end="")


if __name__ == "__main__":
    main()
