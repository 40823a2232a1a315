"""Documents, docstrings, comments and messages keep off words that a native reader has to decode."""

import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest


@pytest.fixture
def prose(repository):
    """The module of the script."""
    spec = spec_from_file_location("check_prose", repository / "scripts" / "check_prose.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def found(prose, file, source):
    """Lines and words, those in small letters."""
    return [(one.line, one.words.lower()) for one in prose.findings(file, source)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("tell", "Mistakes tell where they are."),
        ("tells", "It tells two runs apart."),
        ("telling", "A telling name."),
        ("told", "All is told at once."),
        ("anew", "It begins anew."),
        ("go on", "Run it again to go on."),
        ("goes on", "The run goes on."),
        ("going on", "Going on with the run."),
        ("gone on", "It can be gone on with."),
        ("beyond", "Labels beyond the names."),
        ("likewise", "The same likewise."),
        ("nobody", "A length which nobody knows."),
        ("is no text", "It is no text."),
        ("be no folder", "It can be no folder."),
        ("are no names", "These are no names."),
        ("as good as ever", "The maps are as good as ever."),
        ("takes a change on", "An update takes a change on."),
        ("take on a change", "To take on a change."),
        ("a shard a task", "A shard a task."),
        ("images a pass", "There are 16 images a pass."),
        ("once a session", "It runs once a session."),
    ],
)
def test_each_word_is_found_where_people_read(prose, words, sentence):
    assert found(prose, "a.md", f"Before.\n{sentence}\n") == [(2, words)]
    assert found(prose, "a.py", f'"""A module.\n{sentence}\n"""\n') == [(2, words)]
    assert found(prose, "a.py", f"x = 1\n# {sentence}\n") == [(2, words)]
    assert found(prose, "a.py", f'x = 1\ny = f"{{x}}: {sentence}"\n') == [(2, words)]


@pytest.mark.parametrize(
    "sentence",
    [
        "The names `told` and ``anew``, and tell(moment).",
        "They go once it is over.",
        "It is worse, and beyond noise.",
        "There is no text, and it is no longer there.",
        "How many images a pass holds, once a run has begun.",
    ],
)
def test_what_is_meant_well_stays(prose, sentence):
    assert found(prose, "a.md", sentence) == []
    assert found(prose, "a.py", f'x = "{sentence}"\n') == []


def test_code_is_not_read(prose):
    assert found(prose, "a.py", 'told = {"told": beyond}\nanew = told["beyond"]\n') == []


def test_a_sentence_of_one_word_is_read(prose):
    assert found(prose, "a.py", 'x = option(help="Likewise.")\n') == [(1, "likewise")]


def test_words_that_a_line_break_parts_are_found(prose):
    source = 'x = ("run it again to go "\n     "on")\n\n# it begins to go\n# on from here\n'
    assert found(prose, "a.py", source) == [(1, "go on"), (4, "go on")]
    assert found(prose, "a.md", "First.\n\nIt begins to go\non from here.\n") == [(3, "go on")]


def test_what_an_fstring_fills_in_may_be_anything(prose):
    assert found(prose, "a.py", 'x = f"{path} is no {kind}"\n') == [(1, "is no {")]
    assert found(prose, "a.py", 'x = f"there is no {kind}"\n') == []


def test_the_name_of_an_argument_is_not_read_and_what_it_means_is(prose):
    source = '"""A thing.\n\nAttributes:\n    beyond: how many.\n    told: told all.\n"""\n'
    assert found(prose, "a.py", source) == [(5, "told")]


def test_the_allowed_phrases_are_few_and_there(prose, repository):
    assert len(prose.ALLOWED) < 10
    for files, phrase, reason in prose.ALLOWED:
        texts = [(repository / name).read_text("utf-8") for name in prose.read_files(repository)
                 if prose.fnmatch(name, files)]  # fmt: skip
        assert any(prose.re.search(phrase, text) for text in texts), phrase
        assert reason


def test_a_word_makes_the_script_fail(tmp_path, repository):
    (tmp_path / "README.md").write_text("All is well.\nIt begins anew.\n")
    command = [sys.executable, repository / "scripts" / "check_prose.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = 'README.md:2: "anew": write again, start over or recompute\n'
    assert (done.stdout, done.returncode) == (said, 1)
