"""OoDNet: its scores by hand, what training changes and what it leaves alone, and the old tutorial's script."""

import importlib.util
import logging
import sys
from itertools import pairwise

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore.train import Callback, LossMonitor, Model

from explainrun.configs.digit_network import DigitNetwork
from explainrun.configs.digit_scenes import DigitScenes, normalized
from explainrun.explainers import Network, OoDNet

HEAD = {
    "ood_head.classes.weight",
    "ood_head.scale.weight",
    "ood_head.scale.bias",
    "ood_head.norm.gamma",
    "ood_head.norm.beta",
}
STATISTICS = {"ood_head.norm.moving_mean", "ood_head.norm.moving_variance"}


class Flat(nn.Cell):
    """Features are the image's numbers, logits their halves; counts its runs."""

    def __init__(self, num_features=2, output_features=False):
        super().__init__()
        self.num_features = num_features
        self.output_features = output_features
        self.runs = 0

    def construct(self, x):
        self.runs += 1
        x = x.reshape(x.shape[0], -1)
        return x if self.output_features else x / 2


def classifier(base, raises=False):
    """Of the class ``base`` (TwoChannels), with features (N, 16) before its head; may raise, or ignore the switch."""

    class Classifier(base):
        def __init__(self):
            super().__init__()
            self.num_features = 16
            self.output_features = False
            self.raises = raises

        def construct(self, x):
            if self.raises:
                raise RuntimeError("in the middle")
            x = self.dropout(self.relu(self.norm(self.conv(x)))).reshape(x.shape[0], -1)
            return x if self.output_features else self.head(x)

    return Classifier()


def images(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 1, 2, 4)).astype(np.float32)


def batches(count=12, classes=2, batch=4, columns=("image", "label")):
    labels = np.eye(classes, dtype=np.float32)[np.arange(count) % classes]
    return ds.NumpySlicesDataset((images(count), labels), list(columns), shuffle=False).batch(batch)


def values(cell):
    return {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}


def changed(cell, before):
    return {name for name, now in values(cell).items() if not np.array_equal(now, before[name])}


class Heard(Callback):
    """Notes every moment, and what it is told then."""

    def __init__(self, stop_at=None, raise_at=None):
        super().__init__()
        self.moments, self.rates, self.weights = [], [], []
        self.stop_at, self.raise_at = stop_at, raise_at

    def _note(self, moment, context):
        told = context.original_args()
        self.moments.append((moment, told.cur_epoch_num, told.cur_step_num))
        if moment == "step_end":
            self.rates.append(float(told.optimizer.learning_rate.asnumpy()))
        if moment in ("begin", "epoch_end"):
            self.weights.append(told.network.ood_head.classes.weight.asnumpy().copy())
        if moment == self.raise_at:
            raise RuntimeError("in the middle")
        if moment == self.stop_at:
            context.request_stop()

    def on_train_begin(self, run_context):
        self._note("begin", run_context)

    def on_train_epoch_begin(self, run_context):
        self._note("epoch_begin", run_context)

    def on_train_step_begin(self, run_context):
        self._note("step_begin", run_context)

    def on_train_step_end(self, run_context):
        self._note("step_end", run_context)

    def on_train_epoch_end(self, run_context):
        self._note("epoch_end", run_context)

    def on_train_end(self, run_context):
        self._note("end", run_context)


@pytest.fixture
def by_hand():
    ood_net = OoDNet(Flat(), 3)
    ood_net.ood_head.classes.weight.set_data(Tensor(np.array([[2, 0], [3, 4], [-1, 0]], np.float32)))
    ood_net.ood_head.scale.weight.set_data(Tensor(np.array([[1, 0]], np.float32)))
    return ood_net, Tensor(np.array([[3, 4], [0, 2], [0, 0]], np.float32).reshape(3, 1, 1, 2))


def test_scores_are_cosines(by_hand):
    ood_net, x = by_hand
    expected = [[0.6, 1, -0.6], [0, 0.8, 0], [0, 0, 0]]  # an image without any feature is like none
    np.testing.assert_allclose(ood_net(x).asnumpy(), expected, atol=1e-6)


def test_training_logits_are_cosines_over_g(by_hand):
    ood_net, x = by_hand
    scores = ood_net(x).asnumpy()
    ood_net.set_train(True)
    through_dense = np.array([3.0, 0.0, 0.0])
    normed = (through_dense - 1) / np.sqrt(2 + 1e-5)
    g = 1 / (1 + np.exp(-normed))
    np.testing.assert_allclose(ood_net(x).asnumpy(), scores / g[:, None], atol=1e-5)
    ood_net.set_train(False)
    np.testing.assert_array_equal(ood_net(x).asnumpy(), scores)


@pytest.mark.parametrize("train", [True, False])
def test_training_leaves_the_classifier_as_found(two_channels, state, train):
    network = classifier(two_channels)
    network.set_train(train)
    network.relu.set_train(not train)
    network.norm.gamma.requires_grad = False
    network.norm.use_batch_statistics = True if train else None
    network.conv.register_forward_hook(lambda *_: None)
    before = state(network)
    ood_net = OoDNet(network, 2)
    assert state(network) == before  # becoming a child renames nothing
    ood_net.train(batches(), nn.SoftmaxCrossEntropyWithLogits(), epoch=2)
    ood_net(Tensor(images(3)))
    assert state(network) == before
    assert network.norm.use_batch_statistics is (True if train else None)


def test_training_changes_all_of_the_head(two_channels):
    ood_net = OoDNet(classifier(two_channels), 2)
    assert {parameter.name for parameter in ood_net.get_train_parameters()} == HEAD
    before = values(ood_net)
    ood_net.train(batches(), nn.SoftmaxCrossEntropyWithLogits(), epoch=2)
    assert changed(ood_net, before) == HEAD | STATISTICS  # its batch norm among them


def test_the_classifier_runs_in_inference_mode_while_its_head_trains(two_channels):
    trained = []
    for train in (False, True):
        network = classifier(two_channels)  # dropout and batch norm would make a difference
        network.set_train(train)
        ood_net = OoDNet(network, 2)
        ood_net.train(batches(), nn.SoftmaxCrossEntropyWithLogits(), epoch=2)
        trained.append(values(ood_net.ood_head))
    for name, weights in trained[0].items():
        np.testing.assert_array_equal(weights, trained[1][name])


@pytest.mark.parametrize("given", [True, False])
def test_train_underlying_trains_it_and_restores_its_modes(two_channels, state, given):
    network = classifier(two_channels)
    network.relu.set_train(True)
    network.head.weight.requires_grad = False  # frozen ones stay
    ood_net = OoDNet(network, 2)
    flags, before = state(network)["cells"], values(network)
    optimizer = ood_net.prepare_train(train_underlying=True)[0] if given else None
    options = {} if given else {"train_underlying": True}
    ood_net.train(batches(), nn.SoftmaxCrossEntropyWithLogits(), epoch=2, optimizer=optimizer, **options)
    wanted = {"conv.weight", "conv.bias", "norm.gamma", "norm.beta", "norm.moving_mean", "norm.moving_variance"}
    assert changed(network, before) == wanted
    assert state(network)["cells"] == flags
    assert not ood_net.training
    network.set_train(True)  # from now on of no consequence again
    before = values(ood_net)
    once, again = ood_net(Tensor(images(5))).asnumpy(), ood_net(Tensor(images(5))).asnumpy()
    np.testing.assert_array_equal(once, again)  # no dropout
    assert not changed(ood_net, before)


@pytest.mark.parametrize("found", [True, False])
def test_output_features_is_as_found_after_an_exception(two_channels, state, found):
    network = classifier(two_channels, raises=True)
    network.output_features = found
    network.set_train(True)
    ood_net = OoDNet(network, 2)
    before = state(network)
    for call in (
        lambda: ood_net(Tensor(images(3))),
        lambda: ood_net.train(batches(), nn.SoftmaxCrossEntropyWithLogits()),
        lambda: ood_net.train(batches(), nn.SoftmaxCrossEntropyWithLogits(), train_underlying=True),
    ):
        with pytest.raises(RuntimeError, match="in the middle"):
            call()
        assert network.output_features is found
        assert state(network) == before
        assert (ood_net.training, ood_net.ood_head.norm.training) == (False, False)
    network.raises = False
    ood_net(Tensor(images(3)))
    assert network.output_features is found


@pytest.mark.parametrize("train_underlying", [True, False])
def test_modes_are_restored_when_a_callback_raises(two_channels, state, train_underlying):
    network = classifier(two_channels)
    ood_net = OoDNet(network, 2)
    flags = state(network)["cells"]
    with pytest.raises(RuntimeError, match="in the middle"):
        ood_net.train(batches(), callbacks=Heard(raise_at="step_end"), train_underlying=train_underlying)
    assert not ood_net.training
    assert not ood_net.ood_head.norm.training
    assert state(network)["cells"] == flags
    after = values(ood_net)
    ood_net(Tensor(images(5)))
    assert not changed(ood_net, after)


def test_the_learning_rate_steps(two_channels):
    heard = Heard()
    options = {"learning_rate": 0.5, "lr_base_factor": 0.1, "lr_epoch_denom": 2}
    OoDNet(classifier(two_channels), 2).train(batches(), callbacks=heard, epoch=5, **options)
    expected = [0.5, 0.5, 0.05, 0.05, 0.005]  # by epoch, of three steps each
    np.testing.assert_allclose(heard.rates, np.repeat(expected, 3), rtol=1e-6)


def test_the_learning_rate_acts(two_channels):
    heard = Heard()
    options = {"lr_base_factor": 1e-7, "lr_epoch_denom": 1}
    OoDNet(classifier(two_channels), 2).train(batches(), callbacks=heard, epoch=2, **options)
    first, second = (np.abs(later - earlier).max() for earlier, later in pairwise(heard.weights))
    assert first > 1e-3
    assert second < 1e-5 * first


def test_every_callback_hears_every_moment(two_channels, capsys):
    ood_net = OoDNet(classifier(two_channels), 2)
    several, alone = [Heard(), LossMonitor(), Heard()], Heard()
    ood_net.train(batches(), callbacks=several, epoch=2)
    ood_net.train(batches(), callbacks=alone, epoch=2)
    expected = [("begin", 0, 0)]
    for epoch in (1, 2):
        steps = [(moment, epoch, 3 * epoch - 3 + step) for step in (1, 2, 3) for moment in ("step_begin", "step_end")]
        expected += [("epoch_begin", epoch, 3 * epoch - 3), *steps, ("epoch_end", epoch, 3 * epoch)]
    expected.append(("end", 2, 6))
    assert several[0].moments == several[2].moments == alone.moments == expected
    assert "epoch: 2 step: 3, loss is" in capsys.readouterr().out


@pytest.mark.parametrize(("stop_at", "steps"), [("step_end", 1), ("epoch_end", 3)])
def test_a_callback_may_stop_it(two_channels, stop_at, steps):
    heard = Heard(stop_at=stop_at)
    OoDNet(classifier(two_channels), 2).train(batches(), callbacks=heard, epoch=4)
    assert heard.moments[-1] == ("end", 1, steps)


def test_own_optimizer_and_scheduler(two_channels):
    class Tenth(Callback):
        def on_train_epoch_begin(self, run_context):
            told = run_context.original_args()
            told.optimizer.learning_rate.set_data(Tensor(0.1**told.cur_epoch_num, ms.float32))

    ood_net, heard = OoDNet(classifier(two_channels), 2), Heard()
    ood_net.train(batches(), callbacks=heard, epoch=2, scheduler=Tenth())
    optimizer = nn.SGD(ood_net.get_train_parameters(), learning_rate=0.25)
    ood_net.train(batches(), callbacks=heard, epoch=1, optimizer=optimizer)
    optimizer, scheduler = ood_net.prepare_train(learning_rate=0.5, lr_epoch_denom=1)
    ood_net.train(batches(), callbacks=heard, epoch=2, optimizer=optimizer, scheduler=scheduler)
    np.testing.assert_allclose(heard.rates, np.repeat([0.1, 0.01, 0.25, 0.5, 0.05], 3), rtol=1e-6)


def test_a_loss_a_sample_is_averaged():
    trained = []
    for loss in (nn.SoftmaxCrossEntropyWithLogits(), nn.SoftmaxCrossEntropyWithLogits(reduction="mean"), None):
        ood_net = OoDNet(Flat(8), 2)
        ood_net.train(batches(), loss, epoch=2)
        trained.append(values(ood_net))
    for name, weights in trained[0].items():
        np.testing.assert_allclose(trained[1][name], weights, atol=1e-6)
        np.testing.assert_array_equal(trained[2][name], weights)


def test_the_classifier_runs_once_a_step():
    network = Flat(8)
    OoDNet(network, 2).train(batches(), epoch=3)
    assert network.runs == 9


def test_the_dataset_of_the_classifiers_own_training_serves_again():
    data, network = batches(), nn.SequentialCell(nn.Flatten(), nn.Dense(8, 2))
    loss = nn.SoftmaxCrossEntropyWithLogits(reduction="mean")
    Model(network, loss, nn.SGD(network.trainable_params())).train(1, data, dataset_sink_mode=False)
    heard = Heard()
    OoDNet(Flat(8), 2).train(data, callbacks=heard, epoch=1)
    assert heard.moments[-1] == ("end", 1, 3)


def test_progress_and_the_final_loss(two_channels, caplog, capsys, monkeypatch):
    ood_net = OoDNet(classifier(two_channels), 2)
    caplog.set_level(logging.INFO, "explainrun")
    ood_net.train(batches(), epoch=2)
    assert "the mean loss of epoch 2 was 0." in caplog.text
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ood_net.train(batches(), epoch=2)
    assert "epoch 2, loss 0." in capsys.readouterr().err


def test_training_without_standard_error(two_channels, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    OoDNet(classifier(two_channels), 2).train(batches(), epoch=1)


def test_a_checkpoint_gives_the_same_scores(two_channels, tmp_path):
    ood_net, x = OoDNet(classifier(two_channels), 2), Tensor(images(5))
    ood_net.train(batches(), epoch=2, train_underlying=True)
    ms.save_checkpoint(ood_net, str(tmp_path / "ood_net.ckpt"))
    fresh = OoDNet(classifier(two_channels), 2, seed=1)
    assert not np.allclose(fresh(x).asnumpy(), ood_net(x).asnumpy())
    left, right = ms.load_param_into_net(fresh, ms.load_checkpoint(str(tmp_path / "ood_net.ckpt")))
    assert (list(left), list(right)) == ([], [])
    np.testing.assert_array_equal(fresh(x).asnumpy(), ood_net(x).asnumpy())


def test_the_head_alone_is_saved_and_loaded(tmp_path):
    ood_net, x, path = OoDNet(Flat(8), 2), Tensor(images(5)), tmp_path / "head.ckpt"
    ood_net.train(batches(), epoch=2)
    ood_net.save_head(path)
    assert set(ms.load_checkpoint(str(path))) == HEAD | STATISTICS
    fresh = OoDNet(Flat(8), 2, seed=1)
    fresh.load_head(path)
    np.testing.assert_array_equal(fresh(x).asnumpy(), ood_net(x).asnumpy())
    assert values(fresh)["ood_head.norm.moving_mean"] != 0
    for other, words in ((OoDNet(Flat(8), 3), r"another size.*\(2, 8\).*3 classes on 8 features"),
                         (OoDNet(Flat(9), 2), "another size.*2 classes on 9 features")):  # fmt: skip
        before = values(other)
        with pytest.raises(ValueError, match=words):
            other.load_head(path)
        assert not changed(other, before)


def test_files_without_a_head_are_refused(tmp_path, repository):
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.ckpt"):
        OoDNet(Flat(8), 2).load_head(tmp_path / "nowhere.ckpt")
    with pytest.raises(ValueError, match=r"no head of an OoDNet, it lacks ood_head\.classes\.weight"):
        OoDNet(Flat(8), 2).load_head(repository / "configs" / "digit_network.ckpt")


def test_a_head_is_not_put_on_a_classifier_with_other_weights(tmp_path, linear):
    class WithWeights(linear):
        num_features, output_features = 8, False

        def construct(self, x):
            return x.reshape(x.shape[0], -1) if self.output_features else super().construct(x)

    weights, path = np.ones((2, 1, 2, 4)), str(tmp_path / "all.ckpt")
    ms.save_checkpoint(OoDNet(WithWeights(weights), 2), path)
    OoDNet(WithWeights(weights), 2, seed=1).load_head(path)
    with pytest.raises(ValueError, match="head of a classifier with other weights"):
        OoDNet(WithWeights(2 * weights), 2).load_head(path)


@pytest.mark.slow
def test_the_bundled_head_tells_scenes_from_those_whose_digits_are_masked_out(repository):
    spec = importlib.util.spec_from_file_location("train_ood_net", repository / "scripts" / "train_ood_net.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    network = DigitNetwork()
    ms.load_param_into_net(network, ms.load_checkpoint(str(repository / "configs" / "digit_network.ckpt")))
    ood_net = OoDNet(network, 10)
    ood_net.load_head(repository / "configs" / "digit_ood_net.ckpt")
    whole, hidden, masked = script.inlier_scores(ood_net, DigitScenes("test", 64), np.random.default_rng(1))
    assert script.roc_area(whole, hidden) >= 0.95
    assert script.roc_area(whole, masked) >= 0.6  # most masks leave a digit to see


def test_the_seed_alone_decides_the_first_weights():
    def drawn(seed):
        ms.set_seed(7)
        np.random.seed(7)
        head = OoDNet(Flat(400), 50, seed=seed).ood_head
        return head.classes.weight.asnumpy(), nn.Dense(3, 3).weight.asnumpy(), np.random.rand()

    ms.set_seed(7)
    np.random.seed(7)
    undisturbed = nn.Dense(3, 3).weight.asnumpy(), np.random.rand()
    weight, after, number = drawn(0)
    np.testing.assert_array_equal(weight, drawn(0)[0])
    assert not np.allclose(weight, drawn(1)[0])
    assert weight.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)  # He normal
    np.testing.assert_array_equal(after, undisturbed[0])
    assert number == undisturbed[1]


def test_it_is_a_network_for_counted_passes(two_channels, state):
    network = classifier(two_channels)
    network.set_train(True)
    ood_net = OoDNet(network, 2)
    ood_net.set_train(True)
    before, x = state(ood_net), images(5)
    service = Network(ood_net, pass_size=2, fill=True)
    scores = service.logits(x)
    assert dict(service.passes.made) == {"infer": 3}
    found = service.differentiate(x, np.zeros(5, int), ["underlying.relu"])
    assert np.abs(found.gradients["underlying.relu"]).max() > 0
    assert state(ood_net) == before
    assert network.output_features is False
    ood_net.set_train(False)
    np.testing.assert_allclose(ood_net(Tensor(x)).asnumpy(), scores, atol=1e-6)
    with pytest.raises(ValueError, match="does not compile"):  # a graph would ignore the switch
        service.compile(x)


def test_graph_mode_is_refused():
    ood_net, x = OoDNet(Flat(8), 2), Tensor(images(3))
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        for call in (lambda: ood_net(x), lambda: ood_net.train(batches())):
            with pytest.raises(ValueError, match=r"an OoDNet needs PyNative mode.*set_context\(mode=mindspore"):
                call()
    finally:
        ms.set_context(mode=ms.PYNATIVE_MODE)


class Without(nn.Cell):
    def __init__(self, attribute):
        super().__init__()
        for name, value in {"num_features": 2, "output_features": False}.items():
            if name != attribute:
                setattr(self, name, value)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: OoDNet(3, 2), TypeError, "must be a mindspore.nn.Cell, got int"),
        (
            lambda: OoDNet(Without("num_features"), 2),
            AttributeError,
            "Without has no attribute 'num_features'; set self",
        ),
        (lambda: OoDNet(Without("output_features"), 2), AttributeError, "has no attribute 'output_features'; set self"),
        (lambda: OoDNet(Flat(2.0), 2), TypeError, "Flat.num_features must be an int, got float 2.0"),
        (lambda: OoDNet(Flat(True), 2), TypeError, "Flat.num_features must be an int, got bool"),
        (lambda: OoDNet(Flat(0), 2), ValueError, "Flat.num_features must be at least 1, got 0"),
        (lambda: OoDNet(Flat(2, "no"), 2), TypeError, "Flat.output_features must be True or False, got str"),
        (lambda: OoDNet(Flat(), "2"), TypeError, "num_classes must be an int, got str '2'"),
        (lambda: OoDNet(Flat(), 0), ValueError, "num_classes must be at least 1, got 0"),
        (lambda: OoDNet(Flat(), 2, seed=-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: OoDNet(Flat(), 2)(images(1)), TypeError, "images must be a mindspore.Tensor .* got ndarray"),
        (lambda: OoDNet(Flat(), 2).prepare_train(learning_rate=0.0), ValueError, "learning_rate must be above 0"),
        (lambda: OoDNet(Flat(), 2).prepare_train(lr_base_factor="a"), TypeError, "lr_base_factor must be a number"),
        (lambda: OoDNet(Flat(), 2).prepare_train(lr_epoch_denom=0), ValueError, "lr_epoch_denom must be at least 1"),
    ],
)
def test_mistakes_in_making_it(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("returned", [(3, 7), (3, 8, 1), (2, 8), None])
def test_features_of_another_shape_are_refused(returned):
    class Other(Flat):
        def construct(self, x):
            return Tensor(np.zeros(returned, np.float32)) if returned else (x,)

    got = "shape" if returned else "tuple"
    words = rf"Other must return features \(N, num_features\), here \(3, 8\), it returned {got}"
    with pytest.raises(ValueError, match=words):
        OoDNet(Other(8), 2)(Tensor(images(3)))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dataset": [1, 2]}, TypeError, "must be a mindspore.dataset.Dataset, got list"),
        ({"dataset": batches().project(["image"])}, ValueError, r"\(images, labels\), its columns are \['image'\]"),
        ({"dataset": batches(classes=3)}, ValueError, r"num_classes\), here \(4, 2\), the dataset gives \(4, 3\)"),
        ({"dataset": batches(2, batch=4, columns=("a", "b")).skip(1)}, ValueError, "gives no batches"),
        ({"loss_fn": nn.BCEWithLogitsLoss}, TypeError, "got the class BCEWithLogitsLoss"),
        ({"loss_fn": 3}, TypeError, "loss_fn must be a function of logits and labels.* got int"),
        ({"callbacks": print}, TypeError, "must be mindspore.train.Callback, got builtin"),
        ({"callbacks": [Heard(), "no"]}, TypeError, "must be mindspore.train.Callback, got str"),
        ({"epoch": 0}, ValueError, "epoch must be at least 1, got 0"),
        ({"epoch": 1.5}, TypeError, "epoch must be an int, got float 1.5"),
        ({"optimizer": "sgd"}, TypeError, "must be a mindspore.nn.Optimizer, got str"),
        ({"optimizer": nn.SGD(nn.Dense(2, 2).trainable_params())}, ValueError, "not of this OoDNet"),
        ({"learning_rates": 1}, TypeError, "learning_rates"),
        (
            {"learning_rate": 1e38, "momentum": 0.0},
            ValueError,
            "loss became .*nan.* in epoch .*lower the learning_rate",
        ),
    ],
)
def test_mistakes_in_training_it(options, error, words):
    ood_net = OoDNet(Flat(8), 2)
    with pytest.raises(error, match=words):
        ood_net.train(**{"dataset": batches(), **options})
    assert not ood_net.training


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("kind", ["int32", "int64", "uint8"])
def test_class_indices_train_as_the_rows_that_they_stand_for(shape, kind):
    indices = np.array([2, 0, 1, 2, 1], kind)
    trained = []
    for labels in (indices.reshape(shape), np.eye(3, dtype=np.float32)[indices]):
        ood_net = OoDNet(Flat(8), 3)
        ood_net.train(ds.NumpySlicesDataset((images(5), labels), ["image", "label"], shuffle=False).batch(2), epoch=2)
        trained.append([values.asnumpy() for values in ood_net.ood_head.get_parameters()])
    for ours, theirs in zip(*trained, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.int32([0, 1, 3, 0]), r"class indices 0\.\.2, the dataset gives 3"),
        (np.int32([0, 1, -1, 0]), r"class indices 0\.\.2, the dataset gives -1"),
        (np.float32([0, 1, 2, 0]), r"class indices \(N,\), here \(4,\).*gives \(4,\) of float32"),
        (np.zeros((4, 2), np.int32), r"here \(4, 3\), the dataset gives \(4, 2\)"),
    ],
)
def test_labels_that_are_neither_are_refused(labels, words):
    data = ds.NumpySlicesDataset((images(4), labels), ["image", "label"], shuffle=False).batch(4)
    with pytest.raises(ValueError, match=words):
        OoDNet(Flat(8), 3).train(data, epoch=1)


def test_options_of_an_optimizer_that_is_given_are_refused():
    ood_net = OoDNet(Flat(8), 2)
    optimizer, _ = ood_net.prepare_train()
    with pytest.raises(TypeError, match="momentum would make an optimizer, and one is given"):
        ood_net.train(batches(), optimizer=optimizer, momentum=0.5)
    dynamic = nn.SGD(ood_net.get_train_parameters(), learning_rate=[0.1, 0.2])
    with pytest.raises(TypeError, match="one number as learning rate"):
        ood_net.train(batches(), optimizer=dynamic, scheduler=ood_net.prepare_train()[1])


def test_the_bundled_classifier_gives_its_features(repository):
    network = DigitNetwork()
    checkpoint = ms.load_checkpoint(str(repository / "configs" / "digit_network.ckpt"))
    assert [list(left) for left in ms.load_param_into_net(network, checkpoint)] == [[], []]
    x = Tensor(np.stack([normalized(scene.image) for scene in DigitScenes("test", 2)]))
    logits = network(x).asnumpy()
    network.output_features = True
    features = network(x).asnumpy()
    assert features.shape == (2, network.num_features)
    by_hand = features @ network.head.weight.asnumpy().T + network.head.bias.asnumpy()
    np.testing.assert_allclose(by_hand, logits, atol=1e-4)


OLD_SCRIPT = """
import mindspore as ms
import mindspore.nn as nn
from mindspore import load_checkpoint, load_param_into_net, save_checkpoint
from explainrun.explainers import OoDNet, RISEPlus

class MyLeNet5(nn.Cell):
    def __init__(self, num_class, num_channel):
        super(MyLeNet5, self).__init__()
        self.num_features = 84
        self.output_features = False
        self.conv1 = nn.Conv2d(num_channel, 6, 5, pad_mode="valid")
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid")
        self.fc1 = nn.Dense(16 * 5 * 5, 120)
        self.fc2 = nn.Dense(120, 84)
        self.fc3 = nn.Dense(84, num_class)
        self.relu = nn.ReLU()
        self.max_pool2d = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()

    def construct(self, x):
        x = self.max_pool2d(self.relu(self.conv1(x)))
        x = self.max_pool2d(self.relu(self.conv2(x)))
        x = self.flatten(x)
        x = self.relu(self.fc1(x))
        x = self.relu(self.fc2(x))
        if self.output_features:
            return x
        return self.fc3(x)

net = MyLeNet5(10, num_channel=3)
loss = nn.SoftmaxCrossEntropyWithLogits(reduction="mean")
model = ms.train.Model(net, loss, nn.Adam(net.trainable_params(), 2e-3))
model.train(10, train_dataset, dataset_sink_mode=False)

ood_net = OoDNet(underlying=net, num_classes=10)
ood_net.train(train_dataset, loss_fn=nn.SoftmaxCrossEntropyWithLogits(), epoch=3, callbacks=[ms.train.LossMonitor(50)])
save_checkpoint(ood_net, "ood_net.ckpt")

fresh_net = OoDNet(underlying=MyLeNet5(10, 3), num_classes=10)
not_loaded = load_param_into_net(fresh_net, load_checkpoint("ood_net.ckpt"))
scores = ood_net(images)
fresh_scores = fresh_net(images)

rise_plus = RISEPlus(ood_net=fresh_net, network=net, activation_fn=nn.Softmax())
best = int(scores.max(axis=1).argmax())
saliency = rise_plus(images[best : best + 1], targets=int(net(images[best : best + 1]).argmax()))
"""


def crops(split, count):
    """Single digits (N, 3, 32, 32) cut from scenes, and which they are."""
    found = []
    for scene in DigitScenes(split, count):
        for label, (x, y, width, height) in zip(scene.labels, scene.boxes, strict=True):
            rows, columns = (np.linspace(at, at + side - 1, 32).round().astype(int)
                             for at, side in ((y, height), (x, width)))  # fmt: skip
            found.append((normalized(scene.image[np.ix_(rows, columns)]), label))
    return np.stack([image for image, _ in found]), np.array([label for _, label in found])


def run_of(script, seen, unseen):
    """What the names of a script stand for in the end, and which digits the unseen images show."""
    ms.set_seed(0)
    images, labels = crops("train", seen)
    one_hot = np.eye(10, dtype=np.float32)[labels]
    data = ds.NumpySlicesDataset((images, one_hot), ["image", "label"], shuffle=False).batch(64)
    images, truth = crops("test", unseen)
    names = {"train_dataset": data, "images": Tensor(images)}
    exec(compile(script, "old_script.py", "exec"), names)
    return names, truth


def check_old_tutorial(names):
    scores = names["scores"].asnumpy()
    np.testing.assert_array_equal(names["fresh_scores"].asnumpy(), scores)
    assert [list(missing) for missing in names["not_loaded"]] == [[], []]
    assert np.abs(scores).max() <= 1 + 1e-6
    saliency = names["saliency"].asnumpy()
    assert saliency.shape == (1, 1, 32, 32)
    assert saliency.min() >= 0
    assert np.ptp(saliency) > 0


@pytest.mark.slow
def test_old_tutorial(tmp_path, monkeypatch):
    """Shortly trained, with fewer masks."""
    monkeypatch.chdir(tmp_path)
    script = OLD_SCRIPT.replace("train(10, ", "train(6, ").replace("nn.Softmax())", "nn.Softmax(), num_masks=200)")
    check_old_tutorial(run_of(script, 150, 6)[0])


@pytest.mark.long
def test_old_tutorial_to_the_letter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, truth = run_of(OLD_SCRIPT, 400, 60)
    check_old_tutorial(names)
    assert (names["scores"].asnumpy().argmax(axis=1) == truth).mean() > 0.5  # of ten digits, after seconds
