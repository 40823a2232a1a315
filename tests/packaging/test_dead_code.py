"""Nothing private is left behind: what a leading underscore keeps from everybody else is used where it is."""

import ast

import pytest

FOLDERS = ("summary_format", "explainers", "benchmarks", "runner", "configs", "scripts", "tests")


def private(name):
    return name.startswith("_") and not name.startswith("__") and name != "_"


def names_of(node):
    """What a part of a module gives names to, and what it reads: names alone, attributes, imports, text for getattr."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        called_by_pydantic = any("validator" in ast.unparse(decorator) for decorator in node.decorator_list)
        return ([] if called_by_pydantic else [node.name]), []
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = [node.id if isinstance(node, ast.Name) else node.attr]
        return (name, []) if isinstance(node.ctx, ast.Store) else ([], name)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [], [alias.name for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
        return [], node.value.split(".")
    return [], []


def left(*modules):
    """The private names that some modules give and none of them reads."""
    given, known = set(), set()
    for module in modules:
        for node in ast.walk(ast.parse(module)):
            gives, reads = names_of(node)
            given.update(filter(private, gives))
            known.update(reads)
    return sorted(given - known)


def test_nothing_private_is_left(repository):
    paths = [path for folder in FOLDERS for path in (repository / folder).rglob("*.py") if path.parent.name != "_gen"]
    assert left(*(path.read_text("utf-8") for path in paths)) == []


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("def _unused(): ...\ndef _used(): ...\n_used()", ["_unused"]),
        ("_A, _B = 1, 2\nprint(_B)", ["_A"]),
        ("class Thing:\n    def _method(self): self._held = self._read\nThing()._read = 2", ["_held", "_method"]),
        ("thing._trained = True", ["_trained"]),
        ('_known: int = 1\npatch.setattr("a.b._known", 2)', []),
        ("def shown(_given): ...\ndef __getattr__(name): ...", []),
    ],
)
def test_what_counts_as_left(module, names):
    assert left(module) == names
