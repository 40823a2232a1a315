"""What the gate promises, in short: ``scripts/measure_gate.py --simulate 1000`` does it in full."""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest


@pytest.fixture
def simulation(repository):
    """scripts/gate_simulation.py; its data classes look their module up by its name."""
    place = spec_from_file_location("gate_simulation", repository / "scripts" / "gate_simulation.py")
    module = sys.modules["gate_simulation"] = module_from_spec(place)
    place.loader.exec_module(module)
    yield module
    del sys.modules["gate_simulation"]


@pytest.mark.parametrize("pairs", [20, pytest.param(150, marks=pytest.mark.long)])
@pytest.mark.long
def test_promises_are_kept(simulation, pairs):
    """Errors at most as often as is said, and falls found as often: none is excluded by a binomial bound of 99 %."""
    rates = list(simulation.simulated(pairs, seed=1, sizes=(24,)))
    assert [str(rate) for rate in rates if not rate.kept] == []
    assert {rate.what.split(",")[0] for rate in rates} == {"24 samples", "as many samples as needed"}


@pytest.mark.slow
def test_a_broken_promise_is_seen(simulation, monkeypatch):
    """Intervals that take no account of how few samples there are let falls of the tolerance pass."""
    changes = sys.modules["explainrun.runner.comparison.changes"]
    monkeypatch.setattr(
        changes, "mean_bounds", lambda sums, counts, *_, **__: np.stack([sums.sum(0) / counts.sum(0)] * 2)
    )
    rates = list(simulation._falls_called_none(np.random.default_rng(3), 40, 24))
    assert any(not rate.kept for rate in rates)


def test_bounds_are_binomial(simulation):
    def kept(times, **promised):
        return simulation.Rate(what="", times=times, tries=1000, **promised).kept

    assert [kept(times, most=0.05) for times in (50, 67, 68)] == [True, True, False]
    assert [kept(times, least=0.8) for times in (800, 770, 769)] == [True, True, False]
