"""A comparison as a comment: what a parser of Markdown makes of it."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from explainrun.runner.comparison.formats.findings import Verdict
from explainrun.runner.comparison.formats.markdown import as_markdown, code, escaped, refused_as_markdown

PARSERS = {
    "commonmark": MarkdownIt("commonmark").enable("table"),
    "GitHub": MarkdownIt("commonmark").enable(["table", "strikethrough"]),
}
NASTY = "a|b `<i>`\\n\\x1b[31m *x*"  # as it shows: line break and control character in letters


def text_of(inline):
    return "".join(token.content for token in inline.children if token.type in ("text", "code_inline", "text_special"))


def tables(text, parser="commonmark"):
    """Rows of cells of each table, the header first."""
    found, cell = [], False
    for token in PARSERS[parser].parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            cell = True
        elif token.type == "inline" and cell:
            found[-1][-1].append(text_of(token))
            cell = False
    return found


def kinds(text):
    return [token.type for token in PARSERS["commonmark"].parse(text)]


@pytest.mark.parametrize("parser", PARSERS)
def test_tables_have_their_rows_and_columns(failed, parser):
    failing, all_, maps = tables(as_markdown(failed), parser)
    assert [len(table) for table in (failing, all_, maps)] == [1 + 3, 1 + 6, 1 + 2]
    assert [{len(row) for row in table} for table in (failing, all_, maps)] == [{13}, {14}, {5}]
    assert failing[0] == [
        "verdict", "metric", "better is", "explainer", "baseline", "candidate", "change", "95 % interval",
        "tolerance", "p of fall", "questions", "lost", "gained",
    ]  # fmt: skip
    assert failing[1] == [
        "REGRESSION", "InsertionAUC", "higher", "GradCAM", "0.9477", "0.8971", "-0.0506", "-0.0711\xa0to\xa0-0.0300",
        "0.02", "0.0004", "52", "", "",
    ]  # fmt: skip
    assert [row[9] for row in failing[1:]] == ["0.0004", "<0.0001", "1.0000"]
    assert failing[3][3] == all_[5][3] == maps[2][0] == NASTY


def test_failures_are_by_metric(change, passed):
    rows = [change(one, metric, verdict=Verdict.REGRESSION) for one in "AB" for metric in "MN"]
    failing = tables(as_markdown(replace(passed, changes=(*rows, change("C", "M")))))[0]
    assert [row[1:3] for row in failing[1:]] == [["M", "A"], ["M", "B"], ["N", "A"], ["N", "B"]]


def test_what_passes_is_short(passed):
    text = as_markdown(passed)
    (table,) = tables(text)
    assert [row[2] for row in table] == ["explainer", "Gradient", "GradCAM"]
    assert "<details>" not in text
    assert "strong_open" not in kinds(text)


def test_long_tables_are_folded_and_still_tables(change, passed):
    long = replace(passed, changes=tuple(change(f"E{i}", f"M{i % 7}") for i in range(56)))
    text = as_markdown(long)
    (table,) = tables(text)
    assert len(table) == 57
    assert table[1][1:3] + table[9][1:3] == ["M0", "E0", "M1", "E1"]
    assert text.index("<summary>All 56 rows</summary>") < text.index(" M0 |")


def test_the_longest_still_fits_a_comment(change, passed):
    rows = tuple(change("an explainer with a long name", f"a metric with a long name {i}") for i in range(999))
    text = as_markdown(replace(passed, changes=rows))
    assert len(tables(text)[0]) == 201
    assert "\n\nand 799 rows more\n" in text
    assert len(text) < 65_536


def test_all_rows_fail(change, passed, failed):
    rows = [failed.changes[1]] * 2
    assert len(tables(as_markdown(replace(passed, changes=tuple(rows))))) == 1


def test_lists(failed):
    tokens = PARSERS["commonmark"].parse(as_markdown(failed))
    told = [text_of(token) for token in tokens if token.type == "inline"]
    for line in (
        "sample 9: 0 (cat) -> 0 (cat), 1 (dog)",
        f"sample 4, label 7, {NASTY}, IoSR: 0.8000 -> lost",
        "candidate b/`|.jpg",
        "network.weights was 'ab|', is 'cd'",
    ):
        assert line in told, line
    assert "sample 10: 0 (cat) -> 0 (cat), 1 (dog)" not in told


def test_html_is_only_ours(failed):
    html = PARSERS["commonmark"].render(as_markdown(failed))
    assert "<i>" not in html
    assert "<em>" not in html
    assert html.count("<details>") == html.count("</details>") == 5
    assert html.count("<table>") == 3
    assert "<strong>REGRESSION</strong>" in html


@pytest.mark.parametrize(
    "text", ["a|b", "a\\|b", "`a`", "<b>", "&amp;", "*a*", "__a__", "~~a~~", "[a](b)", "a\\", "![a](b)", "\\`a", "$a$"]
)
def test_names_show_as_they_are(text):
    cell = PARSERS["GitHub"].parse(f"| h |\n| - |\n| {escaped(text)} |\n")
    inline = [token for token in cell if token.type == "inline"]
    assert [text_of(token) for token in inline] == ["h", text]
    assert all(token.type in ("text", "text_special") for token in inline[1].children)


@pytest.mark.parametrize("text", ["a", "a`b", "``", "`a", "a``b`", "a|<b>&amp;"])
def test_paths_show_as_they_are(text):
    (inline,) = [token for token in PARSERS["commonmark"].parse(f"x {code(text)}") if token.type == "inline"]
    assert [(token.type, token.content) for token in inline.children] == [("text", "x "), ("code_inline", text)]


def test_nobody_is_called():
    assert escaped("@somebody") == "@&#8203;somebody"


def test_problems_show_as_they_are():
    text = refused_as_markdown("a", "b", ["other *samples*\nof b", "other classes"])
    told = [text_of(token) for token in PARSERS["commonmark"].parse(text) if token.type == "inline"]
    assert told[-2:] == ["other *samples*\\nof b", "other classes"]
