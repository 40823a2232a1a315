"""Data flows one way through the rooms, and everyone imports them by their one name."""

import ast
import configparser
import statistics
from importlib.util import module_from_spec, spec_from_file_location

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
            if path.parent == repository / "configs" / "new":  # what `explainrun new` writes, for users' own folders
                continue
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
INSIDE = ("", ".attention", ".backward", ".derivatives", ".graphs", ".variants")  # of the package of the network


def test_one_module_for_the_wire_and_one_package_for_hooks(repository):
    for _, path, package in modules(repository):
        names = list(imports(path, package))
        if path.parent.name != "_gen":
            assert path.name == "records.py" or not any("._gen" in name for name in names), path
        text, allowed = path.read_text(), TRAINING if path.name == "ood_net.py" else ()  # which trains its own head
        if package not in {f"explainrun.explainers.network{inner}" for inner in INSIDE}:
            for word in (*HOOKS, *TRAINING):
                assert word in allowed or word not in text, (path, word)


# Inside a room: its folders, and modules that lie beside them. Each may import those before it, and no later one.
ORDER = {
    "summary_format": [
        *(
            "deprecated_names",
            "lazy_imports",
            "exit_codes",
            "plural",
            "names",
            "rank_correlation",
            "problem",
            "errors",
            "map_scale",
            "images",
            "plan_record",
        ),
        *("plan_diff", "probe"),
        *(
            "untrusted",
            "storage",
            "event_file",
            "archive",
            "imported_maps",
            "growth",
            "inspection",
            "lifecycle",
            "shards",
        ),
    ],
    "explainers": [
        *("arguments", "dropout_uncertainty", "network.tensors", "network.graphs", "network.backward"),
        *("network.attention", "network", "network.variants", "network.derivatives"),
        *("batched_search", "visual", "core", "controls", "imported_maps", "nearest_samples"),
        *("ood", "perturbation", "optimized_masks", "gradients", "hierarchical_occlusion", "cam", "concepts"),
        "attention",
        "contract",
        *("tensors", "images"),  # deprecated names
    ],
    "benchmarks": [
        *("core", "recomputation"),
        *("faithfulness", "localization", "complexity", "robustness", "randomization", "axiomatic"),
        *("contract", "planted", "metric"),
    ],
    "runner": [
        *("json_values", "keyword_hints", "problems", "yaml_loader", "checkpoints", "data", "results", "plan"),
        *("comparison.formats", "comparison.rules", "comparison", "trend", "report", "batches", "execution", "engines"),
        *("image_classification_runner", "config", "forecast", "demo"),
        *("up_to_date_run", "grown_folder", "figures", "cli.inspection_report", "cli.process", "cli.starting", "cli"),
        "pytest_plugin",
    ],
}


@pytest.fixture
def house(repository):
    """scripts/measure_house.py, which reads the imports of the source."""
    place = spec_from_file_location("measure_house", repository / "scripts" / "measure_house.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    return module


def broken_rules(graph):
    """A sentence on each import from one folder of a room to another that comes no earlier."""
    for folder, targets in graph.items():
        room, _, inner = folder.partition(".")
        for target in targets:
            if inner and target.startswith(f"{room}."):
                order = ORDER[room]
                allowed = order[: order.index(inner)]
                if target.removeprefix(f"{room}.") not in allowed:
                    yield f"{folder} imports {target}; it may import {', '.join(allowed) or 'none'} of {room}"


def test_direction_inside_rooms(house):
    graph = house.folder_graph(house.modules())
    assert {folder for folder in graph if "." in folder} == {
        f"{room}.{inner}" for room in ORDER for inner in ORDER[room]
    }
    assert list(broken_rules(graph)) == []


def test_a_broken_rule_is_named():
    graph = {"explainers.network": {"explainers.core", "summary_format.probe"}, "explainers.cam": {"explainers.core"}}
    [broken] = broken_rules(graph)
    assert broken.startswith("explainers.network imports explainers.core; it may import arguments, dropout_uncertainty")


def test_no_circles(house):
    known = house.modules()
    assert list(house.circles(house.module_graph(known))) == []
    assert list(house.circles(house.folder_graph(known))) == []


def test_circles_are_found(house, tmp_path):
    for name, text in {"a": "from .b import x", "b": "def f():\n    from . import c", "c": "from .a import y"}.items():
        (tmp_path / "runner").mkdir(exist_ok=True)
        (tmp_path / "runner" / f"{name}.py").write_text(text + "\n")
    known = house.modules(tmp_path)
    assert sorted(known) == ["runner.a", "runner.b", "runner.c"]
    [circle] = house.circles(house.module_graph(known))
    assert sorted(set(circle)) == ["runner.a", "runner.b", "runner.c"]


def test_every_package_is_listed(repository):
    parser = configparser.ConfigParser()
    parser.read(repository / "setup.cfg")
    listed = set(parser["options"]["packages"].split())
    found = {package.replace("explainrun.runner._root", "explainrun") for _, _, package in modules(repository)}
    assert listed == found
    mapping = dict(line.split(" = ") for line in parser["options"]["package_dir"].strip().splitlines())
    for package in listed:
        top = ".".join(package.split(".")[:2])
        assert (repository / mapping[top] / "/".join(package.split(".")[2:]) / "__init__.py").is_file()


def test_sizes(repository, house):
    for path in house.modules().values():
        assert len(path.read_text().splitlines()) <= 400, path
        assert sum(other.name != "__init__.py" for other in path.parent.glob("*.py")) <= 15, path.parent


def test_functions_are_short_and_explained(house):
    """The bounds that CONTRIBUTING names."""
    lengths, prose, code = [], 0, 0
    for path in house.modules().values():
        text = path.read_text("utf-8")
        lines = house.lines_of(text)
        found = house.function_lengths(text, lines.code)
        assert not [name for name, length in found.items() if length > 45], path
        lengths += found.values()
        prose, code = prose + len(lines.prose), code + len(lines.code)
    assert statistics.median(lengths) <= 6
    assert sorted(lengths)[int(0.9 * len(lengths))] <= 18
    assert 0.3 <= prose / code <= 0.5


def test_lengths_are_of_code(house):
    body = ['"""Prose,', '    two lines."""', "", "    # prose", "    def g():", '        return """a', '        b"""']
    text = "\n".join(
        ['"""Prose."""', "", "X = 1  # both", "", "", "def f():", f"    {body[0]}", *body[1:], "", "    return g\n"]
    )
    lines = house.lines_of(text)
    assert (sorted(lines.code), sorted(lines.prose)) == ([3, 6, 11, 12, 13, 15], [1, 3, 7, 8, 10])
    assert house.function_lengths(text, lines.code) == {"f": 5}
