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


def test_outputs_stand_at_their_images_where_nobody_asks_about_some(two_channels):
    """The pass holds the images asked about alone; what it gives is not those of other rows."""
    images = np.random.default_rng(2).normal(size=(5, 1, 2, 4)).astype(np.float32)
    network = Network(two_channels(), pass_size=4, fill=True)
    view = View(network, images, np.array([3, 1, 3]), np.array([0, 1, 1]), needs=Needs.output("conv", ""))
    x = images[:, 0]
    for row in (1, 3):
        assert np.array_equal(view.outputs["conv"][row], np.stack([x[row], 2 - x[row]]))
        assert np.array_equal(view.outputs[""][row], images[row])
    assert dict(network.passes.images) == {"activate": 2}
    only_images = View(network, images, np.array([3]), np.array([0]), needs=Needs.output(""))
    assert np.array_equal(only_images.outputs[""][3], images[3])
    assert dict(network.passes.made) == {"activate": 1}  # the image itself takes no pass
