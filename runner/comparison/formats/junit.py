"""A comparison as the XML of JUnit that CI dashboards read: a suite per metric, a case per explainer.

What dashboards agree on is Jenkins' schema junit-10.xsd, in the xunit plugin, which pytest checks its own reports with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as Tree

from . import wording
from .findings import Change, Findings, Verdict
from .table import as_table

_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
_NO_TIME = "0.000"  # seconds; comparing is not what takes any
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def as_junit(comparison: Findings) -> str:
    """A suite for each metric and a case in it for each explainer; the first suite holds the whole table too.

    Floors and slices have suites of their own. What is inconclusive, or of too few samples, is a skipped case, or one
    that fails where all must be shown. Everything outside ASCII is a character reference, so that the text is
    right in whatever encoding it is written.
    """
    suites = [_suite(comparison, metric, rows) for metric, rows in wording.by_metric(comparison.changes).items()]
    suites += [_slices(comparison)] if comparison.slices else []
    suites += [_floors(comparison)] if comparison.floors else []
    if suites:
        _add_element(suites[0], "system-out", as_table(comparison))
    return _document(suites)


def refused_as_junit(baseline: str, candidate: str, problems: Sequence[str]) -> str:
    """A suite of one case that is an error: why two runs were not compared."""
    suite = _new_suite("comparison", {"baseline": baseline, "candidate": candidate})
    case = _case(suite, "comparable", "explainrun")
    first = problems[0] if len(problems) == 1 else f"{len(problems)} problems"
    _add_element(case, "error", "\n".join(problems), message=first, type=wording.REFUSED.lower())
    return _document([_counted(suite)])


def _suite(comparison: Findings, metric: str, rows: Sequence[Change]) -> Tree.Element:
    tolerances = {f"tolerance of {change.explainer}": wording.tolerance(change) for change in rows}
    suite = _new_suite(metric, {**_about(comparison), **tolerances})
    for change in rows:
        case = _case(suite, change.explainer, f"explainrun.{metric}")
        _judge(comparison, case, change.verdict, wording.reason(change), _details(change))
    return _counted(suite)


def _slices(comparison: Findings) -> Tree.Element:
    suite = _new_suite(f"by {comparison.by}", _about(comparison))
    for one in comparison.slices:
        name = f"{one.change.explainer}, label {wording.class_name(comparison, one.label)}"
        case = _case(suite, name, f"explainrun.{one.change.metric}.{comparison.by}")
        _judge(comparison, case, one.change.verdict, wording.reason(one.change), _details(one.change))
    return _counted(suite)


def _floors(comparison: Findings) -> Tree.Element:
    suite = _new_suite("floors", _about(comparison))
    for check in comparison.floors:
        case = _case(suite, check.explainer, f"explainrun.{check.metric}.floor")
        rows = [(column.header, column.cell(check)) for column in wording.floor_columns()]
        details = "\n".join(f"{header}: {cell}" for header, cell in rows)
        _judge(comparison, case, check.verdict, wording.floor_reason(check), details)
    return _counted(suite)


def _about(comparison: Findings) -> dict[str, str]:
    properties = {"baseline": comparison.baseline, "candidate": comparison.candidate, "alpha": f"{comparison.alpha:g}"}
    return properties if comparison.require is None else {**properties, "require": comparison.require}


def _judge(comparison: Findings, case: Tree.Element, verdict: Verdict, reason: str, details: str) -> None:
    """Say in a case what became of it."""
    if comparison.closes(verdict):
        _add_element(case, "failure", details, message=f"{verdict.value}: {reason}", type=verdict.value)
    elif verdict in wording.UNDECIDED:
        _add_element(case, "skipped", details, message=reason, type=verdict.value)
    else:
        _add_element(case, "system-out", details)


def _details(change: Change) -> str:
    rows = [(column.header, column.cell(change)) for column in wording.columns([change])]
    return "\n".join(f"{header}: {cell}" for header, cell in rows if cell)


def _new_suite(name: str, properties: Mapping[str, str]) -> Tree.Element:
    suite = Tree.Element("testsuite", name=_characters(name))
    listed = Tree.SubElement(suite, "properties")
    for key, value in properties.items():
        Tree.SubElement(listed, "property", name=_characters(key), value=_characters(value))
    return suite


def _case(suite: Tree.Element, name: str, classname: str) -> Tree.Element:
    return Tree.SubElement(suite, "testcase", name=_characters(name), classname=_characters(classname), time=_NO_TIME)


def _add_element(parent: Tree.Element, tag: str, text: str, **attributes: str) -> None:
    element = Tree.SubElement(parent, tag, {key: _characters(value) for key, value in attributes.items()})
    element.text = _characters(text)


def _counted(suite: Tree.Element) -> Tree.Element:
    for key, path in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f"testcase/{path}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("time", _NO_TIME)
    return suite


def _document(suites: Sequence[Tree.Element]) -> str:
    counts = {key: str(sum(int(suite.get(key, 0)) for suite in suites)) for key in ("tests", "failures", "errors")}
    root = Tree.Element("testsuites", {"name": "explainrun compare", "time": _NO_TIME, **counts})
    root.extend(suites)
    Tree.indent(root)
    text: str = Tree.tostring(root, encoding="us-ascii", xml_declaration=False).decode()
    return f"{_DECLARATION}{text}\n"


def _characters(text: str) -> str:
    r"""The same with characters that XML 1.0 cannot hold as \x1b and the like."""
    return _NOT_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
