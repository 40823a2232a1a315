"""Problems have codes: each of one sentence, all documented; and what carries them to users keeps them."""

import copy
import json
import pickle
import re
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from explainrun import ExplainrunError
from explainrun.runner import PlanError
from explainrun.runner.problems import Problems
from explainrun.summary_format.errors import BrokenRecordError
from explainrun.summary_format.problem import Problem

ROOT = Path(__file__).resolve().parents[2]


def loaded():
    """scripts/list_problems.py, which reads the codes of the source."""
    place = spec_from_file_location("list_problems", ROOT / "scripts" / "list_problems.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    return module


LISTED = loaded()
KINDS = LISTED.kinds()

# A value for each name in the words of the source, of the kind that the source gives; others are their names.
SAMPLES = {
    **{key: [1, 3] for key in ("before", "now")},
    **dict.fromkeys(("classes", "labels", "names", "outputs", "samples", "rows", "channels", "numbers"), 3),
    **dict.fromkeys(("pictures", "pass_size", "count", "times", "number", "total", "needed", "free", "size"), 4),
    **dict.fromkeys(("lowest", "highest", "kept", "mean", "alpha", "value", "apart", "fall", "accounted"), 0.25),
    **dict.fromkeys(("shape", "logits"), (3, 8, 12)),
    **{key: ["first", "second"] for key in ("columns", "options", "packages", "known", "wanted", "folders", "methods")},
}


def sample(kind):
    """A sentence of a kind of problem, its lists of two and its counts of three."""
    listed = re.findall(r"\{(\w+):(?:\w+ )?(?:list|and|or|lines)\}", kind.words)
    values = {name: SAMPLES.get(name, name) for name in kind.values}
    return Problem.of(kind.code, kind.words, **values | {key: ["first", "second"] for key in listed})


def test_a_code_is_of_one_sentence():
    words = {code: {kind.words for kind in KINDS if kind.code == code} for code in {kind.code for kind in KINDS}}
    assert {code: several for code, several in words.items() if len(several) > 1} == {}


def test_a_sentence_is_of_one_code():
    """But for the words of others, and for keys that a config or a file of rules does not know."""
    codes = Counter(words for words, _ in {(kind.words, kind.code) for kind in KINDS})
    alike = {words for words, times in codes.items() if times > 1}
    assert alike == {"{said}", "unknown key {key!r}; {nearest}"}


def test_codes_are_kebab_case():
    assert [kind.code for kind in KINDS if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", kind.code)] == []
    assert not [kind.code for kind in KINDS if kind.code == "other"]


def test_all_codes_are_documented():
    """``python scripts/list_problems.py --write`` renews the table."""
    text = LISTED.DOCUMENT.read_text("utf-8")
    assert LISTED.document(KINDS, text) == text


@pytest.mark.parametrize("kind", {kind.code: kind for kind in KINDS}.values(), ids=lambda kind: kind.code)
def test_sentences(kind, snapshot):
    assert str(sample(kind)) == snapshot


def test_a_problem_is_its_sentence():
    problem = Problem.of("x-y", "{names:repr and} of {n:plural box}; {n:there are class}", names=["a", "b"], n=1)
    assert problem == "'a' and 'b' of 1 box; there is 1 class"
    assert json.dumps([problem]) == '["' + problem + '"]'
    assert (problem.code, problem.values) == ("x-y", {"names": ["a", "b"], "n": 1})
    for again in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert (again, again.code, again.values) == (problem, problem.code, problem.values)


def test_paths_become_texts():
    assert Problem.of("x", "{folder!r}", folder=Path("a")).values == {"folder": "a"}


def test_places_go_before():
    problem = Problem.of("x", "it is {n}", n=3).at("tolerances.IoSR").at("rules.yaml")
    assert problem == "rules.yaml: tolerances.IoSR: it is 3"
    assert (problem.code, problem.values) == ("x", {"n": 3, "where": "rules.yaml: tolerances.IoSR"})


def test_errors_carry_problems():
    error = PlanError(["of a third party", Problem.of("x", "it is {n}", n=3)])
    assert error.codes == ("other", "x")
    assert error.problems == ("of a third party", "it is 3")
    assert error.problems[1].values == {"n": 3}
    assert str(error) == "2 problems:\n  of a third party\n  it is 3"
    single = ExplainrunError(Problem.of("x", "it is {n}", n=3))
    assert (single.codes, single.problems[0].values, str(single)) == (("x",), {"n": 3}, "it is 3")
    assert ExplainrunError("a text").codes == ExplainrunError().codes == ("other",)
    broken = BrokenRecordError(Path("a"), 1, 2, "why")
    assert broken.codes == ("record-broken",)
    assert broken.problems[0].values == {"path": "a", "index": 1, "offset": 2, "reason": "why"}


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("3 is odd"), "value-refused", "3 is odd"),
        (FileNotFoundError("no file"), "file-failed", "no file"),
        (ImportError("no module"), "import-failed", "no module"),
        (TypeError("no number"), "code-raised", "TypeError: no number"),
    ],
)
def test_errors_of_others_have_codes_of_their_kinds(error, code, said):
    problems = Problems()
    problems.note(error, "explainers[0]")
    assert problems == [f"explainers[0]: {said}"]
    assert problems[0].code == code
    assert problems[0].values == {"said": said, "error": type(error).__name__, "where": "explainers[0]"}


def test_an_error_raised_with_a_problem_keeps_its_code():
    problems = Problems()
    problems.note(ValueError(Problem.of("x", "it is {n}", n=3)), "data")
    problems.note(PlanError([Problem.of("y", "no {what}", what="disk")]), "data")
    assert problems == ["data: it is 3", "no disk"]
    assert [(one.code, one.values) for one in problems] == [("x", {"n": 3, "where": "data"}), ("y", {"what": "disk"})]
