"""Measure the source: modules a folder, lengths of files and functions, prose a line of code, import circles.

    python scripts/measure_house.py

Lines of code are those that hold something other than comments, docstrings and blanks; a nested function counts within
its outer one. Prose is docstrings and comments. Imports inside functions count as any other.
"""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("summary_format", "explainers", "benchmarks", "runner")
_NOT_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Lines(NamedTuple):
    """Line numbers of a module, those of code and those of prose."""

    code: frozenset[int]
    prose: frozenset[int]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The source's modules by dotted name, without generated code and the package that only maps names."""
    found = {}
    for path in sorted(path for source in SOURCES for path in (root / source).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        if "._" not in name.removesuffix(".__init__"):
            found[name.removesuffix(".__init__")] = path
    return found


def imported(name: str, known: Mapping[str, Path]) -> set[str]:
    """The source's other modules that a module imports, wherever it does so."""
    package = name.split(".") if known[name].name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(known[name].read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
            wanted = {".".join([*base, alias.name]) for alias in node.names}
            found |= {one if one in known else ".".join(base) for one in wanted}
    return found & known.keys() - {name}


def folder_of(name: str, known: Mapping[str, Path]) -> str:
    """The folder that a module belongs to; one that lies beside the folders stands for itself."""
    parts = name.split(".")
    return name if known[name].name == "__init__.py" or len(parts) <= 2 else ".".join(parts[:-1])


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Import circles of modules or folders, each without one of its arrows from the next on."""
    left = {name: set(targets) for name, targets in graph.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = error.args[1]
            yield circle
            left[circle[1]].discard(circle[0])
        else:
            return


def module_graph(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """What each module imports."""
    return {name: imported(name, known) for name in known}


def folder_graph(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """What the modules of each folder import of other folders."""
    graph = defaultdict[str, set[str]](set)
    for name, targets in module_graph(known).items():
        folder = folder_of(name, known)
        graph[folder] |= {folder_of(target, known) for target in targets} - {folder}
    return graph


def lines_of(text: str) -> Lines:
    """The lines of a module; one that holds code and a comment is in both."""
    documented, commented, code = set[int](), set[int](), set[int]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            documented.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            commented.add(token.start[0])
        elif token.type not in _NOT_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return Lines(frozenset(code - documented), frozenset(documented | commented))


def function_lengths(text: str, code: frozenset[int]) -> dict[str, int]:
    """Lines of code of each outermost function and method, by name."""
    found: dict[str, int] = {}

    def walk(node: ast.AST, around: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([child.lineno, *(one.lineno for one in child.decorator_list)])
                found[around + child.name] = sum(first <= line <= (child.end_lineno or 0) for line in code)
            else:
                walk(child, f"{around}{child.name}." if isinstance(child, ast.ClassDef) else around)

    walk(ast.parse(text), "")
    return found


def report() -> str:
    """A table of every folder, the longest functions, and the circles."""
    known = modules()
    rows, lengths = [], dict[str, int]()
    for folder, paths in _folders(known).items():
        found = [(path, text := path.read_text("utf-8"), lines_of(text)) for path in paths]
        of_folder = {
            f"{folder}: {name}": n for _, text, lines in found for name, n in function_lengths(text, lines.code).items()
        }
        code, prose = (sum(len(lines[kind]) for *_, lines in found) for kind in (0, 1))
        longest = max(len(text.splitlines()) for _, text, _ in found)
        rows.append(
            (folder, sum(path.name != "__init__.py" for path in paths), code, prose, longest, _spread(of_folder))
        )
        lengths |= of_folder
    code, prose = (sum(int(row[column]) for row in rows) for column in (2, 3))
    rows.append(("all", len(known), code, prose, max(int(row[4]) for row in rows), _spread(lengths)))
    shown = [(*row[:3], f"{int(row[3]) / max(int(row[2]), 1):.2f}", *row[4:]) for row in rows]
    table = tabulate(
        shown, ["folder", "modules", "code", "prose a line", "longest file", "functions: median, 90 %, longest"]
    )
    longest_ones = sorted(lengths.items(), key=lambda item: -item[1])[:10]
    graphs = {"modules": module_graph(known), "folders": folder_graph(known)}
    ends = [f"circles of {kind}: {len(list(circles(graph)))}" for kind, graph in graphs.items()]
    return "\n".join([table, "", tabulate(longest_ones, ["longest functions", "lines"]), "", *ends])


def _folders(known: Mapping[str, Path]) -> dict[str, list[Path]]:
    found = defaultdict[str, list[Path]](list)
    for path in known.values():
        found[path.parent.relative_to(ROOT).as_posix()].append(path)
    return dict(sorted(found.items()))


def _spread(lengths: Mapping[str, int]) -> str:
    if not lengths:
        return ""
    ordered = sorted(lengths.values())
    return f"{statistics.median(ordered):g}, {ordered[int(0.9 * (len(ordered) - 1))]}, {ordered[-1]}"


if __name__ == "__main__":
    print(report())
