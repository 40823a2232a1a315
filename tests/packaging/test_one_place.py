"""A run option has one home: adding one touches few files."""

import ast
import inspect

import pytest

from explainrun.runner import ImageClassificationRunner
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import RunConfig, load_config
from explainrun.runner.plan.options import SETTINGS, RunOptions

ROOMS = ("summary_format", "explainers", "benchmarks", "runner")


def names(tree, word):
    """Whether code names a run option: as a variable, an argument, an attribute or a key; not of ``zip`` or ``csv``."""
    of_zip, docs = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("zip", "csv.reader"):
            of_zip |= {id(inner) for inner in node.keywords}
        if isinstance(node, ast.Expr):
            docs.add(id(node.value))
    return any(
        word in (getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None))
        or (isinstance(node, ast.Constant) and node.value == word)
        for node in ast.walk(tree)
        if id(node) not in of_zip | docs
    )


def naming(word, repository):
    """The source files that name a run option."""
    for path in sorted(path for room in ROOMS for path in (repository / room).rglob("*.py")):
        text = path.read_text()
        if word in text and names(ast.parse(text), word):
            yield path.relative_to(repository).as_posix()


def test_an_option_is_named_in_three_files(repository):
    """Where it is defined, where scripts give it, and where it does something."""
    of_codecs = "runner/cli/process/standard_streams.py"  # which names an error handler of codecs
    acting = {
        "strict": ["runner/batches/checks.py"],
        "skip_broken": ["runner/batches/batch.py", "runner/grown_folder.py"],  # a folder's pool takes no plan
    }
    for option, files in acting.items():
        assert [path for path in naming(option, repository) if path != of_codecs] == [
            *files,
            "runner/image_classification_runner.py",
            "runner/plan/options.py",
        ]


def test_scripts_and_configs_have_all_options_with_the_same_defaults():
    given = inspect.signature(ImageClassificationRunner.__init__).parameters
    for name in SETTINGS:
        assert given[name].default == RunOptions.model_fields[name].default == RunConfig.model_fields[name].default, (
            name
        )


def test_options_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        RunOptions().seed = 3


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"seed": True}, "seed must be a whole number from 0, got True"),
        ({"pass_size": 1.5}, "pass_size must be a whole number from 1, got 1.5"),
        ({"mean": ["a"]}, "mean must be a finite number, got 'a'"),
        ({"std": float("nan")}, "std must be a finite number, got nan"),
        ({"jit": "maybe"}, "jit must be one of auto, on, off, got 'maybe'"),
        ({"jit": "maybe", "seed": -1}, "seed must be .*; jit must be"),
    ],
)
def test_an_option_out_of_range_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        RunOptions.checked(**given)


def literals(text, repository):
    """The source files in which a literal holds a text; docstrings aside."""
    for path in sorted(path for room in ROOMS for path in (repository / room).rglob("*.py")):
        source = path.read_text()
        if text not in source:
            continue
        tree = ast.parse(source)
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        held = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs)
        if any(isinstance(node.value, str) and text in node.value for node in held):
            yield path.relative_to(repository).as_posix()


def test_tracebacks_are_asked_for_in_one_place(repository):
    assert list(literals("EXPLAINRUN_TRACEBACK", repository)) == ["runner/problems.py"]


VALUES = {
    "mean": [0.1],
    "std": [0.5],
    "seed": 7,
    "pass_size": 3,
    "strict": True,
    "jit": "off",
    "labels": [1, 3],
    "skip_broken": True,
    "output": "0",
}  # none is a default


def test_every_option_of_a_config_reaches_the_plan_that_is_written(repository, tmp_path):
    assert set(VALUES) == set(SETTINGS)
    config, problems = load_config(repository / "configs" / "quickstart.yaml", {**VALUES, "summary_dir": str(tmp_path)})
    plan = build_runner(config, problems, repository / "configs").plan()
    assert plan.options == RunOptions(**VALUES)
    written = plan.described.raw
    assert {name: written[name] for name in written["settings"]} == VALUES
    assert written["uncompared"] == ["strict", "skip_broken"]


def test_mean_and_std_are_held_together_in_one_place(repository):
    assert list(literals("go together", repository)) == ["summary_format/images.py"]


def parameters_by_place(text):
    """The data classes of more than four fields that may be constructed by place."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            fields = sum(isinstance(inner, ast.AnnAssign) for inner in node.body)
            if any("dataclass" in one and "kw_only=True" not in one for one in decorators) and fields > 4:
                yield node.name


# Of geometry and small public results, which are shorter to read without names; a class of ten numbers is not.
BY_PLACE = {
    *("Box", "Counterfactual", "Factors", "Node", "NotComputed", "Part", "Progress", "Sample"),
    *("SampleRecord", "Sizes", "SuperpixelExplanation", "_Session", "PictureRequest"),
}


def test_many_fields_are_given_by_name(repository):
    """Two that are swapped would be of the right types."""
    paths = [path for room in ROOMS for path in (repository / room).rglob("*.py")]
    assert {name for path in paths for name in parameters_by_place(path.read_text())} == BY_PLACE
