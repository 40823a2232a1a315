"""Modules that documents named before they moved: their names still work, with a warning that says from where."""

import sys
from importlib import import_module

import pytest

NAMES = {
    "explainrun.explainers.tensors": ("explainrun.explainers", ["Activation", "FloatArray", "checked_activation"]),
    "explainrun.explainers.images": ("explainrun.explainers", ["resized", "saliency_to_image", "stretched"]),
    "explainrun.benchmarks.metric": ("explainrun.benchmarks", ["Metric", "Scores"]),
}


@pytest.mark.parametrize("old", NAMES)
def test_an_old_module_warns_and_has_the_same_names(old, monkeypatch):
    new, names = NAMES[old]
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated; import from {new}"):
        module = import_module(old)
    for name in names:
        assert getattr(module, name) is getattr(import_module(new), name)
