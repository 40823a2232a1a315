"""SIC and AIC beside PAIR's saliency 0.2.1 on photos, the same blurred images handed in; and where the two differ."""

import numpy as np
import pytest
import torch
from mindspore import nn
from saliency.metrics import pic

from explainrun.benchmarks import AIC, SIC, Explanation
from explainrun.explainers import Gradient, Network, View

PLACES = 20000  # of the interpolated curve, which is theirs at 1,000 by default


def shown(images, untouched):
    """Images (N, 3, H, W) as 8-bit pixels (N, H, W, 3) over the range of the untouched one."""
    low, high = untouched.min(), untouched.max()
    scaled = ((images - low) / (high - low)).clip(0.0, 1.0)
    return np.round(scaled * np.float32(255.0)).astype(np.uint8).transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def asked(network, photos):
    """Sixteen photos (3, 32, 26), each with its label and a map in no order."""
    images, labels = photos[0][:16], photos[1][:16]
    maps = np.random.default_rng(4).random((16, 32, 26), np.float32)
    view = View(Network(network), images, np.arange(16), labels)
    return Explanation(Gradient(network), view, maps)


class Theirs:
    """What PAIR computes of a question, where it blurs as we do.

    It blurs by interpolating between pixels; here what is not revealed is as in our blurred image. It passes images of
    8 bits to the network; here those are looked up that they were rounded from.
    """

    def __init__(self, metric, explanation, question, torch_network, monkeypatch):
        untouched = explanation.view.images[question]
        blurred = next(explanation.covered_images(question, metric._curve).parts(1))[0]
        self._seen, self._network = {}, torch_network
        self._label, self._image = int(explanation.view.labels[question]), self._noted(untouched, untouched)
        self._map, self._shares = explanation.maps[question], list(metric.shares)

        def mixed(full_img, pixel_mask, method="linear"):
            return self._noted(np.where(pixel_mask, untouched, blurred), untouched)

        monkeypatch.setattr(pic, "create_blurred_image", mixed)

    def _noted(self, image, untouched):
        [found] = shown(image[None], untouched)
        self._seen[found.tobytes()] = image
        return found

    def area(self, answer):
        def answers(images):
            inputs = torch.tensor(np.stack([self._seen[image.tobytes()] for image in images]))
            with torch.no_grad():
                logits = self._network(inputs)
            if answer == "accuracy":
                return (logits.argmax(1) == self._label).double().numpy()
            return logits.softmax(1)[:, self._label].double().numpy()

        nothing = np.zeros(self._map.shape, bool)
        return pic.compute_pic_metric(
            self._image, self._map, nothing, answers, self._shares, min_pred_value=0.0, num_data_points=PLACES
        ).auc


@pytest.mark.parametrize(("kind", "answer"), [(SIC, "probability"), (AIC, "accuracy")])
def test_areas(asked, torch_network, monkeypatch, kind, answer):
    metric = kind(10, nn.Softmax())
    scores, refused = metric.score(asked), 0
    compared = []
    for question in range(16):
        theirs = Theirs(metric, asked, question, torch_network, monkeypatch)
        try:
            compared.append((scores[question], theirs.area(answer)))
        except pic.ComputePicMetricError:
            refused += 1
            assert np.isnan(scores[question]) or (kind is AIC and scores[question] == 1)
    assert len(compared) >= 6, refused
    ours, expected = np.array(compared).T
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4)
