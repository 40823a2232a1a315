"""The layer that is read where nobody named one: the same for scripts, configs and ``explain``, and reported."""

import logging

import numpy as np
import pytest
from click.testing import CliRunner
from mindspore import Tensor, nn

from explainrun.benchmarks import InsertionAUC
from explainrun.explainers import (
    CAM,
    EXPLAINERS,
    AblationCAM,
    ActivationMap,
    DeepFeatureFactorization,
    EigenCAM,
    Explainer,
    GradCAM,
    Gradient,
    GuidedGradCAM,
    Network,
    NoiseTunnel,
    ScoreCAM,
    SmoothGradCAMpp,
)
from explainrun.explainers.core.automatic_layer import ChosenLayer, automatic_layer
from explainrun.runner import ImageClassificationRunner, PlanError, explain
from explainrun.runner.cli.main import main
from explainrun.summary_format import Results, merge

NAMES = ["zero", "one"]


class Stages(nn.Cell):
    """Two convolutions of literal weights, the second of stride 4 by 2, then the mean and a dense layer."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 2, 1, has_bias=False)
        self.deep = nn.SequentialCell(nn.Conv2d(2, 3, (2, 3), stride=(4, 2), pad_mode="valid"), nn.ReLU())
        self.head = nn.Dense(3, 2, has_bias=False)
        rng = np.random.default_rng(0)
        for parameter in self.get_parameters():
            parameter.set_data(Tensor(rng.normal(size=parameter.shape).astype(np.float32)))

    def construct(self, x):
        return self.head(self.deep(self.first(x)).mean((2, 3)))


def images(height, width, count=1):
    return np.random.default_rng(1).normal(size=(count, 1, height, width)).astype(np.float32)


def test_the_deepest_layer_of_more_than_one_place_is_chosen():
    network = Network(Stages())
    assert automatic_layer(network, images(6, 9)[0]) == ChosenLayer("deep")  # 2 x 4 places
    assert automatic_layer(network, images(5, 4)[0]) == ChosenLayer("first")  # of the deepest one place is left
    assert dict(network.passes.made) == {"layer choice": 2}


FAMILY = [name for name, kind in EXPLAINERS.items() if isinstance(kind, type) and issubclass(kind, ActivationMap)]


@pytest.mark.parametrize("name", FAMILY)
def test_every_method_that_reads_a_layer_chooses_one(name, caplog):
    network, inputs = Stages(), Tensor(images(6, 9, 2))
    lacking, named = EXPLAINERS[name](network), EXPLAINERS[name](network, layer="deep")
    assert (lacking.lacks_layer, named.lacks_layer) == (True, False)
    maps = lacking(inputs, 1).asnumpy()
    assert maps.any()
    np.testing.assert_array_equal(maps, named(inputs, 1).asnumpy())
    for layer, of_layer in lacking.layer_maps(inputs, 1).items():
        np.testing.assert_array_equal(of_layer.asnumpy(), named.layer_maps(inputs, 1)[layer].asnumpy())
    told = [record.getMessage() for record in caplog.records if "automatically" in record.getMessage()]
    assert told == [f"layer 'deep' was chosen automatically for {name}; set the option 'layer' to name another"]  # once
    assert lacking.layer == ()  # what it is asked about another time may be of another size


def test_the_choice_goes_by_the_size_of_the_images_and_not_by_what_was_asked_before():
    network = Stages()
    one, other = GradCAM(network), GradCAM(network)
    sizes = [(6, 9), (5, 4)]
    forth = [one.layer_maps(Tensor(images(*size)), 0) for size in sizes]
    back = [other.layer_maps(Tensor(images(*size)), 0) for size in reversed(sizes)]
    assert [list(maps) for maps in forth] == [["deep"], ["first"]] == [list(maps) for maps in reversed(back)]


def test_the_image_itself_is_read_where_it_is_named():
    network, inputs = Stages(), Tensor(images(6, 9))
    assert list(GradCAM(network, "").layer_maps(inputs, 0)) == [""]
    assert list(GradCAM(network, layer="").layer_maps(inputs, 0)) == [""]


def test_methods_inside_others_choose_too():
    network, inputs = Stages(), Tensor(images(6, 9))
    for inner in (GradCAM, GuidedGradCAM):
        tunnels = [NoiseTunnel(made, nt_samples=2) for made in (inner(network), inner(network, "deep"))]
        maps = [tunnel(inputs, 0).asnumpy() for tunnel in tunnels]
        np.testing.assert_array_equal(*maps)
        assert tunnels[0].lacks_layer
    assert not NoiseTunnel(Gradient(network)).lacks_layer


def test_metrics_called_directly_score_the_layer_that_is_chosen():
    network, inputs = Stages(), Tensor(images(6, 9))
    metric = InsertionAUC(2, nn.Softmax(), steps=4)
    np.testing.assert_array_equal(
        metric.evaluate(GradCAM(network), inputs, 0), metric.evaluate(GradCAM(network, "deep"), inputs, 0)
    )


def test_concepts_are_those_of_the_layer_that_is_chosen():
    network, inputs = Stages(), Tensor(images(6, 9))
    [lacking], [named] = (DeepFeatureFactorization(network, layer, 2).factorize(inputs) for layer in (None, "deep"))
    np.testing.assert_array_equal(lacking.vectors, named.vectors)


def test_a_layer_that_lacks_is_an_error_and_not_the_image(raising):
    with raising(ValueError, "no-feature-maps"):
        GradCAM(nn.SequentialCell(nn.Flatten(), nn.Dense(54, 2)))(Tensor(images(6, 9)), 0)
    network = Stages()
    view = Gradient(network)
    with pytest.raises(ValueError, match="GradCAM lacks a layer"):
        GradCAM(network).attribute(view)


@pytest.fixture
def run(dataset, tmp_path):
    network = Stages()

    def start(folder, explainers, size=(6, 9), **options):
        rows = [(image, np.int32([place % 2])) for place, image in enumerate(images(*size, count=5))]
        data = dataset(rows), NAMES
        runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Softmax(), pass_size=2, jit="off")
        runner.register_saliency([make(network) for make in explainers], [InsertionAUC(2, nn.Softmax(), steps=4)])
        return runner.run(**options)

    return start


LACKING = [
    GradCAM,
    EigenCAM,
    ScoreCAM,
    AblationCAM,
    SmoothGradCAMpp,
    lambda net: NoiseTunnel(GradCAM(net), nt_samples=2),
]
READING = [
    lambda net: GradCAM(net, "deep"),
    lambda net: EigenCAM(net, "deep"),
    lambda net: ScoreCAM(net, "deep"),
    lambda net: AblationCAM(net, "deep"),
    lambda net: SmoothGradCAMpp(net, "deep"),
    lambda net: NoiseTunnel(GradCAM(net, "deep"), nt_samples=2),
]


@pytest.mark.slow
def test_a_run_says_which_layer_it_chose(run, tmp_path, caplog):
    caplog.set_level(logging.INFO, "explainrun")
    chosen, named = run("chosen", [*LACKING, Gradient]), run("named", [*READING, Gradient])
    names = ["GradCAM", "EigenCAM", "ScoreCAM", "AblationCAM", "SmoothGradCAMpp", "NoiseTunnel"]
    assert f"layer 'deep' was chosen automatically for {', '.join(names)};" in caplog.text
    assert f"layer deep, chosen automatically: {', '.join(names)}" in str(chosen).splitlines()
    assert f"layer deep, chosen automatically: {', '.join(names)}" in chosen._repr_html_()
    assert "automatically" not in str(named)
    plans = [Results(tmp_path / folder).plan for folder in ("chosen", "named")]
    assert [plan["chosen_layers"] for plan in plans] == [dict.fromkeys(names, "deep"), {}]
    assert chosen.costs["made"] == chosen.costs["needed"] == {**named.costs["made"], "layer choice": 1}
    found, expected = (Results(tmp_path / folder) for folder in ("chosen", "named"))
    for name in names:
        np.testing.assert_array_equal(found.maps(name), expected.maps(name))
        np.testing.assert_array_equal(found.scores(name, "InsertionAUC"), expected.scores(name, "InsertionAUC"))


def test_a_run_without_metrics_says_it_too(dataset, tmp_path):
    network = Stages()
    rows = [(image, np.int32([0])) for image in images(6, 9, 2)]
    runner = ImageClassificationRunner(tmp_path, (dataset(rows), NAMES), network, nn.Softmax(), jit="off")
    runner.register_saliency([GradCAM(network)])
    assert str(runner.run()).startswith("layer deep, chosen automatically: GradCAM\n")


def test_a_run_that_is_resumed_reads_the_layer_that_it_began_with(run, kill, tmp_path, how_runs_differ, monkeypatch):
    run("whole", [GradCAM])
    kill(lambda: run("run", [GradCAM]), 0, 2)
    monkeypatch.setattr(
        "explainrun.runner.execution.preflight.automatic_layers", lambda *_: pytest.fail("chosen again")
    )
    assert run("run", [GradCAM]).samples == 5
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []
    assert run("run", [GradCAM]).finished_before


def test_shards_choose_alike(run, tmp_path, how_runs_differ):
    run("whole", [GradCAM, Gradient])
    for number in (1, 2):
        run(f"shard{number}", [GradCAM, Gradient], shard=(number, 2))
    merge(tmp_path / "merged", [tmp_path / "shard1", tmp_path / "shard2"])
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []


def test_a_network_without_feature_maps_is_refused_before_the_run(dataset, tmp_path, raising):
    network = nn.SequentialCell(nn.Flatten(), nn.Dense(54, 2))
    rows = [(image, np.int32([0])) for image in images(6, 9, 2)]
    runner = ImageClassificationRunner(tmp_path / "run", (dataset(rows), NAMES), network, nn.Softmax(), jit="off")
    runner.register_saliency([GradCAM(network), EigenCAM(network)])
    with raising(PlanError, "no-feature-maps", where="GradCAM, EigenCAM"):
        runner.run()
    assert not (tmp_path / "run").exists()


def test_explain_chooses_the_same_layer(caplog):
    caplog.set_level(logging.INFO, "explainrun")
    picture = np.random.default_rng(0).integers(0, 255, (1, 6, 9), np.uint8)
    figure = explain(Stages(), picture, ["GradCAM", "EigenCAM"])
    titles = [axes.get_title() for axes in figure.axes]
    assert {"GradCAM (deep)", "EigenCAM (deep)"} <= set(titles)
    assert "layer 'deep' was chosen automatically for GradCAM, EigenCAM" in caplog.text


class Twice(Explainer):
    """A user's own explainer, around another one."""

    def __init__(self, network, inner):
        super().__init__(network)
        self.inner = inner

    @property
    def needs(self):
        return self.inner.needs

    def attribute(self, view):
        return 2 * self.inner.attribute(view)


def test_an_explainer_of_the_users_around_another_chooses_too(run, tmp_path):
    network, inputs = Stages(), Tensor(images(6, 9))
    maps = [Twice(network, GradCAM(network, *layer))(inputs, 0).asnumpy() for layer in ((), ("deep",))]
    np.testing.assert_array_equal(*maps)
    run("run", [lambda net: Twice(net, GradCAM(net))])
    assert Results(tmp_path / "run").plan["chosen_layers"] == {"Twice": "deep"}


@pytest.mark.parametrize(
    "make", [GradCAM, lambda net: NoiseTunnel(GradCAM(net), nt_samples=2), lambda _: {"GradCAM": {"layer": None}}]
)
def test_explain_reads_the_layer_that_is_named_for_explainers_too(make, caplog):
    network, picture = Stages(), np.zeros((1, 6, 9), np.uint8)
    figure = explain(network, picture, [make(network)], layer="first")
    assert any("first)" in axes.get_title() for axes in figure.axes)
    assert "automatically" not in caplog.text


def test_cam_pools_the_layer_that_is_chosen():
    network, inputs = Stages(), Tensor(images(6, 9))
    np.testing.assert_array_equal(CAM(network)(inputs, 1).asnumpy(), CAM(network, "deep")(inputs, 1).asnumpy())


class Places(nn.Cell):
    """Features (N, h, w, channels) of a dense layer, under a head that reads their mean."""

    def __init__(self):
        super().__init__()
        self.first, self.deep, self.head = nn.Conv2d(1, 3, 2, 2), nn.Dense(3, 3), nn.Dense(3, 2)
        rng = np.random.default_rng(0)
        for parameter in self.get_parameters():
            parameter.set_data(Tensor(rng.normal(size=parameter.shape).astype(np.float32)))

    def construct(self, x):
        return self.head(self.deep(self.first(x).transpose(0, 2, 3, 1)).mean((1, 2)))


@pytest.fixture
def run_of_places(dataset, tmp_path):
    network = Places()

    def start(folder, make, **options):
        rows = [(image, np.int32([place % 2])) for place, image in enumerate(images(6, 8, count=5))]
        runner = ImageClassificationRunner(
            tmp_path / folder, (dataset(rows), NAMES), network, nn.Softmax(), pass_size=2, jit="off"
        )
        runner.register_saliency(make(network))
        return runner.run(**options)

    return start


def automatic(network):
    return [GradCAM(network), ScoreCAM(network), NoiseTunnel(GradCAM(network), nt_samples=2)]


def named(network):
    read = {"layer": "deep", "reshape": (3, 4)}
    return [GradCAM(network, **read), ScoreCAM(network, **read), NoiseTunnel(GradCAM(network, **read), nt_samples=2)]


def test_a_run_says_which_grid_goes_with_a_layer(run_of_places, tmp_path, caplog):
    chosen, _ = run_of_places("chosen", automatic), run_of_places("named", named)
    names = ["GradCAM", "ScoreCAM", "NoiseTunnel"]
    assert f"layer 'deep' with reshape=(3, 4) was chosen automatically for {', '.join(names)};" in caplog.text
    assert str(chosen).startswith(f"layer deep with reshape (3, 4), chosen automatically: {', '.join(names)}\n")
    found, expected = (Results(tmp_path / folder) for folder in ("chosen", "named"))
    assert found.plan["chosen_layers"] == dict.fromkeys(names, "deep")
    assert found.plan["chosen_reshapes"] == {name: [3, 4] for name in names}
    assert expected.plan["chosen_reshapes"] == {}
    for name in names:
        np.testing.assert_array_equal(found.maps(name), expected.maps(name))
    assert "GradCAM=(3, 4)" in inspection_text(tmp_path / "chosen")


def inspection_text(folder):
    done = CliRunner().invoke(main, ["inspect", str(folder)])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_shards_and_later_starts_read_the_grid_that_was_chosen(run_of_places, kill, tmp_path, how_runs_differ):
    run_of_places("whole", automatic)
    for number in (1, 2):
        run_of_places(f"shard{number}", automatic, shard=(number, 2))
    merge(tmp_path / "merged", [tmp_path / "shard1", tmp_path / "shard2"])
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    kill(lambda: run_of_places("run", automatic), 0, 2)
    run_of_places("run", automatic)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "run") == []


@pytest.mark.parametrize(
    "make",
    [
        lambda net: [GradCAM(net, "deep")],
        lambda net: [ScoreCAM(net, "deep")],
        lambda net: [NoiseTunnel(GradCAM(net, "deep"), nt_samples=2)],
        lambda net: [NoiseTunnel(GradCAM(net, "first"), nt_samples=2), Twice(net, EigenCAM(net, "deep"))],
    ],
)
def test_a_layer_that_is_named_and_gives_no_feature_maps_is_refused_before_the_run(
    make, run_of_places, tmp_path, raising
):
    with raising(PlanError, "layer-channels-last", layer="deep", grid=(3, 4)):
        run_of_places("run", make)
    assert not (tmp_path / "run").exists()


def test_passes_that_look_at_layers_inside_others_are_counted(run_of_places):
    costs = run_of_places("run", named).costs
    assert costs["made"]["layer check"] == 1
    assert costs["made"] == costs["needed"]
