"""Data flows one way through the rooms, and everyone imports them by their one name."""

import ast
import configparser

import pytest

ROOMS = ("summary_format", "explainers", "benchmarks", "runner")  # each may import those before it
FREE = {"configs": ()}  # the bundled example stands alone


def imports(path, package):
    """Absolute dotted names that a module imports, relative ones resolved against its package."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def modules(repository):
    for room in (*ROOMS, *FREE):
        for path in (repository / room).rglob("*.py"):
            inner = path.relative_to(repository).parent.as_posix().replace("/", ".")
            yield room, path, f"explainrun.{inner}"


def test_direction(repository):
    for room, path, package in modules(repository):
        if "_root" in path.parts:
            continue
        allowed = FREE[room] if room in FREE else ROOMS[: ROOMS.index(room)]
        for name in imports(path, package):
            if name.startswith("explainrun."):
                target = name.split(".")[1]
                assert target == room or target in allowed, f"{path} imports {name}"


def test_no_bare_room_names(repository):
    everywhere = [
        path for folder in (*ROOMS, *FREE, "tests", "scripts") for path in (repository / folder).rglob("*.py")
    ]
    for path in everywhere:
        for name in imports(path, "x.x.x.x"):
            bare = name.split(".")[0]
            assert bare not in (*ROOMS, *FREE), f"{path}: import explainrun.{bare}, the bare name is a second module"


HOOKS = ("register_forward", "register_backward", "register_hook", "_hook(")
TRAINING = ("set_train(", "value_and_grad")


def test_one_module_for_the_wire_and_one_package_for_hooks(repository):
    for _, path, package in modules(repository):
        names = list(imports(path, package))
        if path.parent.name != "_gen":
            assert path.name == "records.py" or not any("._gen" in name for name in names), path
        text, allowed = path.read_text(), TRAINING if path.name == "ood_net.py" else ()  # which trains its own head
        if package != "explainrun.explainers.network":
            for word in (*HOOKS, *TRAINING):
                assert word in allowed or word not in text, (path, word)


def test_every_package_is_listed(repository):
    parser = configparser.ConfigParser()
    parser.read(repository / "setup.cfg")
    listed = set(parser["options"]["packages"].split())
    found = {package for _, _, package in modules(repository)} - {"explainrun.runner._root"} | {"explainrun"}
    assert listed == found
    mapping = dict(line.split(" = ") for line in parser["options"]["package_dir"].strip().splitlines())
    for package in listed:
        top = ".".join(package.split(".")[:2])
        assert (repository / mapping[top] / "/".join(package.split(".")[2:]) / "__init__.py").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_file_sizes(repository, room):
    for path in (repository / room).rglob("*.py"):
        if path.parent.name != "_gen":
            assert len(path.read_text().splitlines()) <= 400, path
