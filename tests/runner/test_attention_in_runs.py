"""Methods that read attention in runs: passes, resuming, shards, growth, and what is refused before a run."""

from functools import partial

import numpy as np
import pytest
from mindspore import nn

from explainrun.benchmarks import PointingGame, Robustness
from explainrun.explainers import (
    AttentionRelevance,
    AttentionRollout,
    Contrast,
    GradCAM,
    Gradient,
    LeGrad,
    NoiseTunnel,
)
from explainrun.explainers.contract.bundled import TinyTransformer, tiny_images
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.forecast.forecast import forecast
from explainrun.summary_format import Results, merge

METHODS = (Gradient, AttentionRollout, LeGrad, AttentionRelevance)
BLOCKS = 2  # of the transformer


def rows(count):
    images = np.concatenate([tiny_images(), -tiny_images()])
    for number, image in enumerate(images[:count]):
        yield image, np.int32([number % 4, -1]), np.int32([[2, 1, 5, 6], [0, 0, 1, 1]])


@pytest.fixture
def runner(dataset, tmp_path):
    """Makes runners of one network, with the explainers and metrics given."""
    network = TinyTransformer()

    def make(folder="run", methods=METHODS, metrics=None, count=6, pass_size=2):
        data = dataset(list(rows(count))), ["a", "b", "c", "d"]
        options = {"pass_size": pass_size, "jit": "off"}
        made = ImageClassificationRunner(tmp_path / folder, data, network, nn.Softmax(), **options)
        made.register_saliency([method(network) for method in methods], metrics or [PointingGame(4)])
        made.calls = lambda: network.calls
        return made

    return make


def test_passes_are_shared_and_those_that_the_network_counts(runner, nearly_fewest):
    robust = runner("run", metrics=[Robustness(4, nn.Softmax(), samples=2)])
    before = robust.calls()
    costs = robust.run().costs
    nearly_fewest(costs, ragged=5)
    assert costs["made"]["attention search"] == 4
    rest = BLOCKS * costs["made"]["blocks"]  # what comes behind each block
    assert robust.calls() - before == sum(costs["made"].values()) + rest


def test_it_costs_a_run_no_more_than_gradients_but_for_blocks_of_their_own(runner):
    alone = runner("alone", (Gradient,)).run().costs["made"]
    beside = runner("beside").run().costs["made"]
    more = {kind: beside[kind] - alone.get(kind, 0) for kind in beside if beside[kind] != alone.get(kind)}
    assert more == {"attention search": 4, "activate": 3, "blocks": alone["differentiate"]}


@pytest.mark.slow
def test_resumed_in_shards_or_grown_it_ends_as_a_run_made_at_once(runner, kill, tmp_path, how_runs_differ):
    runner = partial(runner, pass_size=16)  # in which rounding does not depend on an image's place
    runner("whole").run()
    kill(runner("resumed").run, batch=0, commits=3)
    runner("resumed").run()
    parts = [runner(f"parts/{number}").run(shard=(number, 2)).summary_dir for number in (1, 2)]
    merge(tmp_path / "merged", parts)
    runner("grown", METHODS[:2], count=4).run()
    runner("grown").run()
    for folder in ("resumed", "merged", "grown"):
        assert how_runs_differ(tmp_path / "whole", tmp_path / folder) == []
    for name in ("AttentionRollout", "LeGrad", "AttentionRelevance"):
        assert np.ptp(Results(tmp_path / "whole").maps(name), axis=(1, 2)).all()


@pytest.mark.slow
def test_passes_that_are_foretold_are_those_made(runner):
    others = [lambda network: NoiseTunnel(LeGrad(network), nt_samples=2, name="noisy"),
              lambda network: Contrast(AttentionRelevance(network), name="why not the other")]  # fmt: skip
    made = runner(methods=(*METHODS, *others))
    assert forecast(made.plan()).passes == made.run().costs["made"]


AROUND = {
    "in noise": lambda method: NoiseTunnel(method, nt_samples=2),
    "in a contrast": Contrast,
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("method", METHODS[2:])
def test_explainers_around_one_are_refused_before_anything_is_written_too(
    make_runner, two_channels, tmp_path, method, around, raising
):
    network = two_channels()
    explainer = AROUND[around](method(network))
    with raising(PlanError, "attention-missing", network="TwoChannels", where=explainer.name):
        make_runner(explainers=[explainer, Gradient(network)]).run()
    assert not (tmp_path / "run").exists()


def test_what_a_run_grows_by_is_refused_too(make_runner, two_channels, raising):
    network = two_channels()
    make_runner(explainers=[Gradient(network)]).run()
    with raising(PlanError, "attention-missing", network="TwoChannels", where="AttentionRollout"):
        make_runner(explainers=[Gradient(network), AttentionRollout(network)]).run()


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_network_without_attention_is_refused_before_anything_is_written(
    make_runner, two_channels, tmp_path, method, raising
):
    network = two_channels()
    with raising(PlanError, "attention-missing", network="TwoChannels", where=method.__name__):
        make_runner(explainers=[Gradient(network), method(network), GradCAM(network, "relu")]).run()
    assert not (tmp_path / "run").exists()
