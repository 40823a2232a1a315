"""What the page's view of scores computes in the browser, against numbers worked out by hand. Node runs the scripts."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = ("score_numbers", "score_parts", "label_scores", "selection")
MINUS = "\N{MINUS SIGN}"
RUN = """
globalThis.ER = {{ parts: {{ shown: (value, digits) => (value === null ? "?" : value.toFixed(digits)) }} }};
globalThis.preactHooks = {{}};
{scripts}
const S = ER.scores;
const evaluated = {expressions}.map((expression) => eval(expression));
console.log(JSON.stringify(evaluated, (key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value)));
"""

RANKING = '{places: [[1, "A"], [1, "B"], [3, "C"]], ties: [["A", "B"], ["B", "C"]]}'
MEANS = "[[0.2, 10, 1], [0.6, 30, 1], [0.4, 20, 1], [null, 10, 1]]"  # of four explainers in three metrics
FLAGGED = '[["TP", 3], ["FN", 4], ["FP", 5], ["FP", 6]].map(([flag, label]) => ({flag, label}))'
EXPECTED = {
    # Ends, and digits that tell apart what lies between them.
    "S.extent([0.5, NaN, null, -1, Infinity])": [-1, 0.5],
    "S.extent([NaN, null])": None,
    "[0.5, 0.02, 120, 0, 1e-12].map(S.digitsFor)": [3, 4, 0, 3, 8],
    "S.number(null, 1) + S.number(0.12345, 0.5) + S.number(-1234.5, 900)": f"?0.123{MINUS}1235",
    "[0.12345, -0.5, -0.0001].map((value) => S.signed(value, 1))": ["+0.123", f"{MINUS}0.500", "0.000"],
    # Places and ties.
    "[0, 25, 26].map(S.letter)": ["a", "z", "(27)"],
    f'["A", "B", "C", "D"].map((name) => S.placeOf({RANKING}, name))': [
        {"place": 1, "letters": "a"},
        {"place": 1, "letters": "ab"},
        {"place": 3, "letters": "b"},
        None,
    ],
    'S.better({first: "A", second: "B", mean: 0.1, p_value: 0.05}, true)': "A",
    'S.better({first: "A", second: "B", mean: 0.1, p_value: 0.05}, false)': "B",
    'S.better({first: "A", second: "B", mean: 0.1, p_value: 0.051}, true)': None,
    'S.better({first: "A", second: "B", mean: null, p_value: null}, true)': None,
    # Rescaled and combined scores: the third metric parts nobody, the fourth explainer lacks the first.
    "S.rescaled([0.2, 0.6, null, 0.3], true)": [0, 1, None, pytest.approx(0.25)],
    "S.rescaled([0.2, 0.6, null, 0.3], false)": [1, 0, None, pytest.approx(0.75)],
    "S.rescaled([0.4, 0.4], true)": [None, None],
    'S.weightsOf("1,0.5,7,x", 5)': [1, 0.5, 1, 1, 1],
    'S.weightsOf("", 2)': [1, 1],
    f"S.combined({MEANS}, [true, false, true], [1, 0.5, 1])": {
        "used": [0, 1],
        "scores": [
            {"explainer": 3, "score": 1, "lacking": [0]},
            {"explainer": 1, "score": pytest.approx(2 / 3), "lacking": []},
            {"explainer": 2, "score": pytest.approx(0.5), "lacking": []},
            {"explainer": 0, "score": pytest.approx(1 / 3), "lacking": []},
        ],
    },
    f"S.combined({MEANS}, [true, false, true], [1, 0, 1]).scores.map(({{explainer, score}}) => [explainer, score])": [
        [1, 1],
        [2, pytest.approx(0.5)],
        [0, 0],
        [3, None],
    ],
    f"S.combined({MEANS}, [true, false, true], [0, 0, 0]).used": [],
    # Means by label, and the rows of their table.
    "Array.from(S.labelMeans([0.5, NaN, 1, 0.25], [3, 3, 3, 7]), ([label, {mean, count, unscored}]) => "
    "[label, mean, count, unscored])": [[3, 0.75, 2, 1], [7, 0.25, 1, 0]],
    "Array.from(S.labelMeans([NaN], [2]).values(), ({mean}) => mean)": [None],
    'S.labelRows([{scores: [1, 2, 4]}], [1, 0, 1], ["x", "y"]).map(({name, questions, found}) => '
    "[name, questions, found[0].mean])": [["y", 2, 2.5], ["x", 1, 2]],
    **{
        f"S.sortedRows([[4, 0.5], [5, null], [6, 0.9]].map(([label, mean]) => ({{label, questions: -label, found: "
        f'[{{mean}}]}})), "{key}", {down}).map(({{label}}) => label)': order
        for key, down, order in [
            ("label", "true", [6, 5, 4]),
            ("questions", "false", [6, 5, 4]),
            ("0", "false", [4, 6, 5]),
            ("0", "true", [6, 4, 5]),
        ]
    },
    # Histograms: edges are round, and a bar's range takes its values and no others.
    "S.roundEdges([0.72, 0.99])": [pytest.approx(0.7 + 0.025 * place) for place in range(13)],
    "S.roundEdges([1, 1])": [place / 10 for place in range(11)],
    "S.roundEdges([-3, 1000])": [-100, *range(0, 1001, 100)],
    "S.histogram([0, 0.05, 0.5, 0.5, 1, NaN], [0, 0.5, 1]).map(({count, to}) => [count, to])": [[2, 0.05], [3, 1]],
    "S.histogram([0.1, 0.6], [0, 0.5, 1]).map(({low, high, count, to}) => [low, high, count, to])": [
        [0, 0.5, 1, 0.5],
        [0.5, 1, 1, 1],
    ],
    # Rank correlation.
    "S.ranks([30, 10, 30, 20])": [3.5, 1, 3.5, 2],
    "S.spearman([1, 2, 3, 4], [10, 20, 40, 30])": pytest.approx(0.8),
    "S.spearman([1, 2, NaN, 3], [3, 2, 9, 1])": pytest.approx(-1),
    "S.spearman([1, 2, NaN], [1, 2, 3])": None,
    "S.spearman([1, 2, 3], [5, 5, 5])": None,
    # Two explainers: the metrics go together in one and half in the other; lower is better in the second.
    "S.metricAgreement([[[1, 2, 3], [1, 2, 3]], [[1, 2, 3], [1, 3, 2]]], [true, false])[0][1]": pytest.approx(-0.75),
    "S.metricAgreement([[[1, 2, 3], [5, 5, 5]]], [true, true])": [[pytest.approx(1), None], [None, None]],
    "S.spread([0, 1, 2, 3, 4, 5], 3)": [0, 2, 4],
    "S.spread([0, 1], 3)": [0, 1],
    # What was mistaken for what.
    f"ER.selection.cells({FLAGGED})": [[3, 3], [4, 5], [4, 6]],
    f"ER.selection.cells({FLAGGED}.slice(0, 2))": [[3, 3], [4, -1]],
    f"ER.selection.cells({FLAGGED}.filter(({{flag}}) => flag !== 'FN'))": [[3, 3], [-1, 5], [-1, 6]],
    f"ER.selection.cells({FLAGGED}.slice(2))": [],
    "S.confusions([[[1, 2]], [[0, 0], [1, 2]], []])": [
        {"isTrue": 1, "predicted": 2, "count": 2},
        {"isTrue": 0, "predicted": 0, "count": 1},
    ],
    # Text that can be read over a colour.
    "[[255, 255, 255], [103, 0, 31], [247, 247, 247], [0, 0, 0]].map(S.textOver)": [
        "#000000",
        "#ffffff",
        "#000000",
        "#ffffff",
    ],
}


@pytest.fixture(scope="module")
def found():
    """What each expression comes to, all of them by one process."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed, so what the page's scripts compute is not tested")
    folder = Path(__file__).parents[2] / "runner" / "report" / "page" / "js"
    scripts = "\n".join((folder / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    text = RUN.format(scripts=scripts, expressions=json.dumps(list(EXPECTED)))
    done = subprocess.run([node, "-"], input=text, capture_output=True, text=True, encoding="utf-8", check=True)
    return dict(zip(EXPECTED, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("expression", EXPECTED)
def test_is_as_worked_out_by_hand(found, expression):
    assert found[expression] == EXPECTED[expression]
