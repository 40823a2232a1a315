"""A comparison for the dashboards of CI systems: what parsers and the common schema make of it."""

import subprocess
import sys
import tarfile
from xml.etree import ElementTree as Tree

import pytest
import xmlschema

from explainrun.runner.comparison import Comparison
from explainrun.runner.comparison.formats.junit import as_junit, refused_as_junit
from explainrun.runner.comparison.formats.table import as_table

PYTEST = "8.4.2"  # its source distribution holds the schema, under the MIT licence
NASTY = "a|b `<i>`\n\\x1b[31m *x*"  # XML 1.0 holds line breaks, and no escape


@pytest.fixture(scope="session")
def schema(request, tmp_path_factory):
    """Jenkins' junit-10.xsd, with which pytest checks its own reports."""
    file = request.config.cache.mkdir("junit-schema") / f"junit-10-of-pytest-{PYTEST}.xsd"
    if not file.is_file():
        folder = tmp_path_factory.mktemp("pytest")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pytest"]
        done = subprocess.run(
            [*command, "--dest", folder, f"pytest=={PYTEST}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"pip could not fetch the schema: {done.stderr}")
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            found = archive.extractfile(f"pytest-{PYTEST}/testing/example_scripts/junit-10.xsd")
            file.write_bytes(found.read())
    return xmlschema.XMLSchema(str(file))


def parsed(text):
    return Tree.fromstring(text.encode())


def cases(root):
    return {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}


def test_keeps_to_the_schema(schema, failed, passed):
    for text in (as_junit(failed), as_junit(passed), refused_as_junit("a", "b", ["one", "two\x00"])):
        schema.validate(text)
    with pytest.raises(xmlschema.XMLSchemaValidationError):  # it does look
        schema.validate(as_junit(passed).replace('tests="2" time', "time"))


def test_suites_and_counts(failed):
    root = parsed(as_junit(failed))
    assert root.attrib == {
        "name": "explainrun compare", "tests": "6", "failures": "3", "errors": "0", "time": "0.000",
    }  # fmt: skip
    keys = ("name", "tests", "failures", "errors", "skipped", "time")
    assert [[suite.get(key) for key in keys] for suite in root] == [
        ["InsertionAUC", "2", "1", "0", "0", "0.000"],
        ["Infidelity", "2", "1", "0", "0", "0.000"],
        ["IoSR", "2", "1", "0", "1", "0.000"],
    ]
    properties = {one.get("name"): one.get("value") for one in root[2].iter("property")}
    assert properties == {
        "baseline": "runs/a", "candidate": "runs/b", "alpha": "0.05", f"tolerance of {NASTY}": "0.02",
        "tolerance of GradCAM": "-",
    }  # fmt: skip


def test_cases(failed):
    found = cases(parsed(as_junit(failed)))
    assert list(found) == [
        ("explainrun.InsertionAUC", "Gradient"), ("explainrun.InsertionAUC", "GradCAM"),
        ("explainrun.Infidelity", "Gradient"), ("explainrun.Infidelity", "GradCAM"),
        ("explainrun.IoSR", NASTY), ("explainrun.IoSR", "GradCAM"),
    ]  # fmt: skip
    assert [[child.tag for child in case] for case in found.values()] == [
        ["system-out"], ["failure"], ["system-out"], ["failure"], ["failure"], ["skipped"],
    ]  # fmt: skip
    assert {case.get("time") for case in found.values()} == {"0.000"}
    failure = found["explainrun.Infidelity", "GradCAM"].find("failure")
    assert failure.get("type") == "regression"
    assert [line.split(": ")[1] for line in failure.text.splitlines()] == [
        "Infidelity", "lower", "GradCAM", "0.0100", "0.0300", "+0.0200", "+0.0150 to +0.0250", "0.001", "<0.0001", "52",
        "REGRESSION",
    ]  # fmt: skip
    assert found["explainrun.IoSR", NASTY].find("failure").get("type") == "scores lost"
    assert found["explainrun.IoSR", "GradCAM"].find("skipped").get("type") == "too few samples"


def test_the_table_is_in_it_once(failed):
    root = parsed(as_junit(failed))
    assert [suite.findtext("system-out") for suite in root] == [as_table(failed), None, None]


def test_characters(change):
    name = "né\ud800\ufffe\x00\x85\U0001f600]]>&\"'\t"
    text = as_junit(Comparison(baseline="b", candidate="c", alpha=0.05, class_names=(), changes=(change(name, name),)))
    assert text.isascii()
    (suite,) = parsed(text)
    assert suite.get("name") == "né\\ud800\\ufffe\\x00\x85\U0001f600]]>&\"'\t"


def test_nothing_compared():
    root = parsed(as_junit(Comparison(baseline="b", candidate="c", alpha=0.05, class_names=(), changes=())))
    assert (root.get("tests"), len(root)) == ("0", 0)


def test_refused():
    root = parsed(refused_as_junit("a\x01", "b", ["other samples", "other classes"]))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("1", "0", "1")
    ((properties, case),) = root
    assert [one.get("value") for one in properties] == ["a\\x01", "b"]
    assert (case.get("classname"), case.get("name")) == ("explainrun", "comparable")
    (error,) = case
    assert (error.tag, error.attrib, error.text) == (
        "error", {"message": "2 problems", "type": "not compared"}, "other samples\nother classes",
    )  # fmt: skip
    (error,) = parsed(refused_as_junit("a", "b", ["other samples"])).iter("error")
    assert error.get("message") == "other samples"
