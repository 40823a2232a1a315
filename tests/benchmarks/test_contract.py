"""What every registered metric keeps to. A new one is tested here by its row in the registry alone."""

from inspect import signature

import numpy as np
import pytest

import explainrun.benchmarks
from explainrun.benchmarks import METRICS, Faithfulness, Localization
from explainrun.explainers.contract.bundled import tiny_images
from explainrun.testing import METRIC_RULES

OWN = [name for name in METRICS if METRICS[name].__module__.startswith("explainrun.")]
# What constructors are given whose default does not fit so small an image, by the argument's name.
ARGUMENTS = {
    "tolerance": 2, "steps": 4, "samples": 2, "k": 7, "partners": (tiny_images(), np.arange(5) % 4), "sizes": [3, 40],
    "patch_size": 5,
}  # fmt: skip


def arguments(name):
    """The arguments of a metric, matched by their names."""
    taken = signature(METRICS[name]).parameters
    return {key: value for key, value in ARGUMENTS.items() if key in taken}


@pytest.mark.parametrize("name", OWN)
class TestContract:
    @pytest.mark.parametrize("rule", METRIC_RULES, ids=str)
    def test_keeps_to_the_rule(self, rule, name):
        rule(METRICS[name], **arguments(name))

    def test_documented(self, name, repository):
        assert f"| `{name}(" in (repository / "docs" / "reference" / "metrics.md").read_text("utf-8")
        assert METRICS[name].__doc__.split("\n")[0].endswith((".", ":", ";"))


@pytest.mark.parametrize("family", [Faithfulness, Localization])
@pytest.mark.parametrize("rule", METRIC_RULES, ids=str)
def test_families_keep_to_it_too(rule, family):
    rule(family)


@pytest.mark.parametrize("folder", ["localization", "complexity"])
def test_metrics_of_places_and_of_maps_alone_ask_no_network(folder):
    """All but Focus, which has maps of mosaics made."""
    asking = {name for name in OWN if f".{folder}." in METRICS[name].__module__ and METRICS[name].needs_network}
    assert asking == ({"Focus"} if folder == "localization" else set())


def test_every_registered_metric_is_exported():
    assert set(OWN) <= set(explainrun.benchmarks.__all__)
