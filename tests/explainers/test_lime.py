"""LIME against a ridge regression solved by hand, and against networks whose segments it knows."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.explainers import LIME, KernelSHAP, Network, View

SEGMENTS = np.array([[0, 0, 0, 3, 3], [1, 1, 3, 3, 3], [1, 2, 2, 2, 3], [4, 4, 4, 5, 5]])
SIZE = SEGMENTS.shape


def itself(logits):
    return logits


def fixed(picture):
    return SEGMENTS


def quarters(picture):
    """Segments by brightness, so that images have different ones."""
    return np.digitize(picture.mean(axis=2), (0.3, 0.45, 0.7))


class Curved(nn.Cell):
    """Logits of images (N, 2, 4, 5) that are not linear."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = ms.Parameter(Tensor(rng.normal(size=(40, 6)).astype(np.float32) / 4))
        self.head = ms.Parameter(Tensor(rng.normal(size=(6, 4)).astype(np.float32)))

    def construct(self, x):
        return ops.matmul(ops.tanh(ops.matmul(x.reshape(x.shape[0], -1), self.weight)), self.head)


def pictures(count=1):
    return np.random.default_rng(1).normal(size=(count, 2, *SIZE)).astype(np.float32)


def asked(network, images, rows=(0, 0, 1), labels=(3, 1, 1), ids=None):
    ids = np.arange(len(images)) if ids is None else np.array(ids)
    return View(Network(network, 16, fill=True), images, np.array(rows), np.array(labels), sample_ids=ids, seed=5)


def sums(values):
    return np.array([values[..., segment == SEGMENTS].sum() for segment in range(6)])


def by_hand(explainer, view, row, label, cover, alpha):
    """Weights, intercept and score from masked images made one by one, and the normal equations of the ridge."""
    rows = np.array(explainer.coalitions(view.generator(row, "LIME"), SEGMENTS.max() + 1).shown, float)
    values, counts = [], []
    for shown in rows:
        masked = np.where(shown[SEGMENTS] == 1, view.images[row], cover).astype(np.float32)
        values.append(nn.Softmax()(view.network.cell(Tensor(masked[None]))).asnumpy()[0, label])
        cosine = (shown @ np.ones(6)) / (np.linalg.norm(shown) * np.sqrt(6)) if shown.any() else 0.0
        counts.append(np.sqrt(np.exp(-((1 - cosine) ** 2) / 0.25**2)))
    values, counts = np.array(values, float), np.array(counts)
    padded = np.column_stack([rows, np.ones(len(rows))])  # the intercept is not shrunk
    normal = padded.T @ (counts[:, None] * padded) + alpha * np.diag([1.0] * 6 + [0.0])
    solved = np.linalg.solve(normal, padded.T @ (counts * values))
    mean = np.average(values, weights=counts)
    score = 1 - (counts * (values - padded @ solved) ** 2).sum() / (counts * (values - mean) ** 2).sum()
    return solved[:6], solved[6], score, values[0]


@pytest.mark.parametrize(("hide", "alpha"), [(0.5, 1.0), (None, 0.3), ("mean", 20.0)])
def test_it_is_the_ridge_regression_worked_out_by_hand(hide, alpha):
    network, images = Curved(), pictures(2)
    explainer = LIME(network, nn.Softmax(), 80, segmentation=fixed, hide_color=hide, alpha=alpha)
    view = asked(network, images)
    maps = explainer.attribute(view)
    assert dict(view.network.passes.images) == {"superpixel": 160}
    assert (
        dict(explainer.images_needed(2, 3, (2, *SIZE)))
        == dict(explainer.images_needed_for(view))
        == {"superpixel": 160}
    )
    for question, found in explainer.answers(view):
        row, label = int(view.rows[question]), int(view.labels[question])
        means = np.stack([[channel[s == SEGMENTS].mean() for s in range(6)] for channel in images[row]])[:, SEGMENTS]
        cover = {None: means, "mean": images[row].mean(axis=(1, 2), keepdims=True)}.get(hide, 0.5)
        weights, intercept, score, prediction = by_hand(explainer, view, row, label, cover, alpha)
        np.testing.assert_allclose(found.weights, weights, rtol=1e-5, atol=1e-7)
        assert found.intercept == pytest.approx(intercept, rel=1e-5)
        assert found.score == pytest.approx(score, rel=1e-5)
        assert found.prediction == pytest.approx(prediction, rel=1e-5)
        assert found.local_prediction == pytest.approx(intercept + weights.sum(), rel=1e-5)
        assert found.label == label
        np.testing.assert_array_equal(maps[question], found.weights[SEGMENTS].astype(np.float32))


def test_a_network_linear_in_its_segments_is_recovered(linear):
    rng = np.random.default_rng(3)
    weights, image = rng.normal(size=(3, 2, *SIZE)), pictures()
    network = linear(weights, bias=0.7)
    explainer = LIME(network, itself, 60, segmentation=fixed, hide_color=0.0, alpha=1e-9)
    (found,) = explainer.explain(Tensor(image), 2)
    np.testing.assert_allclose(found.weights, sums(weights[2] * image[0]), rtol=1e-4)
    assert found.intercept == pytest.approx(0.7, rel=1e-4)
    assert found.score == pytest.approx(1)
    assert found.local_prediction == pytest.approx(found.prediction, rel=1e-5)
    by_means = LIME(network, itself, 60, segmentation=fixed, alpha=1e-9)(Tensor(image), 2).asnumpy()[0, 0]
    means = np.stack([[channel[s == SEGMENTS].mean() for s in range(6)] for channel in image[0]])[:, SEGMENTS]
    np.testing.assert_allclose(by_means, sums(weights[2] * (image[0] - means))[SEGMENTS], rtol=1e-3, atol=1e-5)


def test_the_segments_of_the_largest_weight_are_kept_and_fitted_again(linear):
    values = np.array([0.3, -2.0, 0.1, 1.0, -0.2, 0.6])
    weights = values[SEGMENTS] / np.bincount(SEGMENTS.ravel())[SEGMENTS]
    network = linear(np.stack([np.zeros((1, *SIZE)), weights[None]]))
    image = Tensor(np.ones((1, 1, *SIZE), np.float32))
    (whole,) = LIME(network, itself, 100, segmentation=fixed, hide_color=0.0).explain(image, 1)
    explainer = LIME(network, itself, 100, 3, fixed, hide_color=0.0)
    (found,) = explainer.explain(image, 1)
    np.testing.assert_array_equal(found.weights != 0, [False, True, False, True, False, True])
    view = View(Network(network), image.asnumpy(), np.array([0]), np.array([1]))
    shown, counts = explainer.coalitions(view.generator(0, "LIME"), 6)
    padded = np.column_stack([shown[:, [1, 3, 5]], np.ones(100)]).astype(float)
    normal = padded.T @ (counts[:, None] * padded) + np.diag([1, 1, 1, 0])
    solved = np.linalg.solve(normal, padded.T @ (counts * (shown @ values)))
    np.testing.assert_allclose(found.weights[[1, 3, 5]], solved[:3], rtol=1e-4)
    assert np.abs(found.weights - whole.weights)[[1, 3, 5]].max() > 0.01
    assert found.score < whole.score
    (most,) = LIME(network, itself, 100, 9, fixed, hide_color=0.0).explain(image, 1)
    np.testing.assert_array_equal(most.weights, whole.weights)


def test_what_is_kept_is_chosen_by_a_weak_ridge(linear):
    """With few images the strength of the ridge decides which weights are the largest."""
    values, differing = np.array([0.3, -0.5, 0.4, 0.45, -0.35, 0.5]), 0
    explainer = LIME(linear(np.zeros((2, 1, *SIZE))), itself, 9, 2, fixed)
    for seed in range(20):
        drawn = explainer.coalitions(np.random.default_rng(seed), 6)
        padded = np.column_stack([drawn.shown, np.ones(9)]).astype(float)

        def first_fit(alpha, padded=padded, counts=drawn.weights):
            normal = padded.T @ (counts[:, None] * padded) + alpha * np.diag([1.0] * 6 + [0.0])
            return np.linalg.solve(normal, padded.T @ (counts * (padded[:, :6] @ values)))[:6]

        kept = explainer.fitted(drawn)(drawn.shown @ values).weights != 0
        chosen = np.sort(np.argsort(-np.abs(first_fit(0.01)))[:2])
        np.testing.assert_array_equal(np.flatnonzero(kept), chosen)
        differing += not np.array_equal(chosen, np.sort(np.argsort(-np.abs(first_fit(1.0)))[:2]))
    assert differing > 3


def test_half_of_the_segments_are_shown_and_all_at_first(linear):
    shown, counts = LIME(linear(np.zeros((2, 8))), itself, 4000).coalitions(np.random.default_rng(0), 7)
    assert shown.shape == (4000, 7)
    assert shown[0].all()
    assert counts[0] == 1
    np.testing.assert_allclose(shown.mean(axis=0), 0.5, atol=0.03)
    assert len(np.unique(shown, axis=0)) == 2**7
    np.testing.assert_allclose(counts[~shown.any(axis=1)], np.exp(-8))
    np.testing.assert_allclose(counts[shown.sum(axis=1) == 4], np.exp(-((1 - np.sqrt(4 / 7)) ** 2) * 8))


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
@pytest.mark.parametrize("segmentation", [quarters, fixed])
def test_a_map_does_not_depend_on_what_is_asked_beside_it(explainer, segmentation):
    network, images = Curved(), pictures(3)
    made = explainer(network, nn.Softmax(), num_samples=24, segmentation=segmentation)
    together = made.attribute(asked(network, images, (0, 1, 1, 2), (0, 2, 1, 0)))
    alone = made.attribute(asked(network, images[1:2], (0,), (1,), ids=[1]))
    assert np.array_equal(alone[0], together[2])
    turned = made.attribute(asked(network, images[::-1].copy(), (1, 0, 1, 2), (1, 0, 2, 0), ids=[2, 1, 0]))
    assert np.array_equal(turned[[3, 2, 0, 1]], together)
    other = made.attribute(asked(network, images[1:2], (0,), (1,), ids=[2]))
    assert np.array_equal(other[0], together[2]) == (explainer is KernelSHAP and segmentation is quarters)  # enumerated


def test_what_is_random_in_a_segmentation_belongs_to_the_image(monkeypatch):
    def drawing(picture, rng=42, **options):
        return np.random.default_rng(rng).integers(0, 3, picture.shape[:2])

    monkeypatch.setattr("explainrun.explainers.perturbation.superpixels.of_scikit_image", lambda name: drawing)
    network, images = Curved(), pictures(3)
    made = LIME(network, nn.Softmax(), 24)
    together = made.attribute(asked(network, images, (0, 1, 2), (0, 2, 0)))
    alone = made.attribute(asked(network, images[2:], (0,), (0,), ids=[2]))
    assert np.array_equal(alone[0], together[2])
    other = made.attribute(asked(network, images[2:], (0,), (0,), ids=[1]))
    assert len(np.unique(np.stack([alone[0], other[0]]).reshape(2, -1).T, axis=0)) > 3  # cut otherwise


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
def test_explanations_come_as_the_pictures_of_the_direct_call(explainer):
    made = explainer(Curved(), nn.Softmax(), num_samples=30, segmentation=fixed)
    images = Tensor(pictures(2))
    maps = made(images, [[1, 3], [2, 2]]).asnumpy()
    nested = made.explain(images, [[1, 3], [2, 2]])
    assert [[one.label for one in row] for row in nested] == [[1, 3], [2, 2]]
    for row, of_image in zip(nested, maps, strict=True):
        for one, map_ in zip(row, of_image, strict=True):
            np.testing.assert_array_equal(one.weights[one.segments].astype(np.float32), map_)
    assert [one.label for one in made.explain(images, Tensor(np.array([3, 0], np.int32)))] == [3, 0]
    assert [one.label for one in made.explain(images, 2)] == [2, 2]
    np.testing.assert_array_equal(made.explain(images, 1)[1].image, pictures(2)[1])
    assert made.estimate(asked(made.network, pictures(2))).errors is None


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
def test_an_image_is_segmented_once(explainer):
    seen = []

    def counted(picture):
        seen.append(picture)
        return SEGMENTS

    network = Curved()
    made = explainer(network, nn.Softmax(), num_samples=30, segmentation=counted)
    view = asked(network, pictures(2))
    needed = made.images_needed_for(view)
    made.attribute(view)
    assert len(seen) == 2
    assert needed == dict(view.network.passes.images)


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
def test_what_is_not_finite_is_not_computed(explainer):
    class Fragile(Curved):
        """Its logits are infinite on an image whose corner is hidden."""

        def construct(self, x):
            return super().construct(x) / (x[:, 0, 0, 0] != 0).astype(ms.float32)[:, None]

    network, images = Fragile(), pictures(2)
    made = explainer(network, itself, num_samples=30, segmentation=fixed, hide_color=np.zeros((2, 1, 1)))
    assert np.isnan(made(Tensor(images), 1).asnumpy()).all()
    (first, _) = made.explain(Tensor(images), 1)
    assert np.isnan([first.intercept, first.score, first.local_prediction, *first.weights]).all()
    assert np.isfinite(first.prediction)


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
def test_a_network_that_says_the_same_of_everything_has_no_score(linear, explainer):
    made = explainer(linear(np.zeros((2, 2, *SIZE)), bias=0.3), itself, num_samples=20, segmentation=fixed)
    (found,) = made.explain(Tensor(pictures()), 1)
    assert np.isnan(found.score)
    np.testing.assert_allclose(found.weights, 0, atol=1e-12)
    assert found.intercept == pytest.approx(0.3)


@pytest.mark.parametrize("explainer", [LIME, KernelSHAP])
def test_a_label_that_is_no_class_is_told(explainer):
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.3, got 4 to 4"):
        explainer(Curved(), nn.Softmax(), num_samples=20, segmentation=fixed)(Tensor(pictures()), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 1}, "num_samples must be a whole number from 2, got 1"),
        ({"num_features": 0}, "num_features must be a whole number from 1, got 0"),
        ({"kernel_width": 0}, "kernel_width must be above 0, got 0"),
        ({"alpha": -1}, "alpha must be above 0, got -1"),
        ({"alpha": "a"}, "alpha must be a finite number"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LIME(Curved(), nn.Softmax(), **options)
