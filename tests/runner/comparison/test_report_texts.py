"""Every format of a comparison, whole, as ``scripts/test --snapshot-update`` last wrote it down."""

import pytest

from explainrun.runner.comparison.formats.report_files import REFUSAL, Output


@pytest.mark.parametrize("found", ["passed", "failed"])
@pytest.mark.parametrize("form", REFUSAL)
def test_reports(request, snapshot, form, found):
    assert Output(form, None).report(request.getfixturevalue(found)) == snapshot


@pytest.mark.parametrize("form", REFUSAL)
def test_refusals(snapshot, form):
    assert Output(form, None).refusal("runs/a", "runs/b", ["other *samples*\nof \x07b", "other classes"]) == snapshot
