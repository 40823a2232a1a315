"""The script that registers and runs, as users run it, on two scenes."""

import runpy

import pytest

from explainrun.summary_format import Results, inspect_run


@pytest.mark.slow
def test_the_script(repository, tmp_path):
    script = runpy.run_path(str(repository / "configs" / "register_and_run.py"))
    result = script["make_runner"](str(tmp_path / "run"), scenes=2).run()
    assert "GradCAM, InsertionAUC: 0." in script["shown"](result)
    assert inspect_run(tmp_path / "run").faults == ()
    results = Results(tmp_path / "run")
    assert results.explainers == ("Gradient", "GradCAM", "RandomMap")
    assert results.uncertainty is not None
    assert results.outcomes is not None
