"""Shared passes and keyed randomness."""

import numpy as np

from explainrun.explainers import GradCAM, Gradient, InputXGradient, Needs, Network, View


def test_explainers_of_a_view_share_one_pass(two_channels):
    cell = two_channels()
    explainers = [Gradient(cell), InputXGradient(cell), GradCAM(cell, "relu"), GradCAM(cell, "conv")]
    network = Network(cell)
    view = View(
        network, two_channels.IMAGE, np.zeros(2, int), np.arange(2), needs=Needs.together(e.needs for e in explainers)
    )
    maps = [explainer.attribute(view) for explainer in explainers]
    assert dict(network.passes.made) == {"differentiate": 1}
    for explainer, of_view in zip(explainers, maps, strict=True):
        alone = explainer(view.images, np.array([[0, 1]])).asnumpy()[0]
        np.testing.assert_array_equal(of_view, alone)


def test_random_numbers_hang_on_seed_sample_and_purpose_alone(two_channels):
    def draw(ids, row, purpose="order", seed=0):
        images = np.zeros((len(ids), 1, 2, 4), np.float32)
        network = Network(two_channels())
        view = View(network, images, np.zeros(1, int), np.zeros(1, int), sample_ids=np.array(ids), seed=seed)
        return view.generator(row, purpose).random(3).tolist()

    assert draw([5, 9], 1) == draw([9], 0)
    different = [draw([5], 0), draw([9], 0), draw([9], 0, "noise"), draw([9], 0, seed=1)]
    assert len({tuple(numbers) for numbers in different}) == 4
