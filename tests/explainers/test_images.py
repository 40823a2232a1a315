"""Maps as pictures."""

import sys
import types

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from explainrun.explainers import Gradient, saliency_to_image

MAP = np.array([[0.0, 0.5, 1.0], [0.0, 0.25, 0.0]])


def grey_map(values):
    return np.stack([values, values, values, np.ones_like(values)], axis=-1)


def test_overlay_is_opaque_where_the_map_is_large():
    original = Image.new("RGB", (3, 2), (200, 100, 0))
    picture = np.asarray(saliency_to_image(MAP, original, cm=grey_map))
    assert picture[0, 2].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == [200, 100, 0]
    # half the map: alpha 0.6 of grey 128 over the original
    np.testing.assert_allclose(picture[0, 1], [0.6 * 128 + 0.4 * 200, 0.6 * 128 + 0.4 * 100, 0.6 * 128], atol=1.5)


def test_alpha_normalising_and_shapes():
    with_alpha = np.asarray(saliency_to_image(Tensor(MAP[None, None].astype(np.float32)), with_alpha=True))
    assert with_alpha.shape == (2, 3, 4)
    assert with_alpha[..., 3].tolist() == [[0, 153, 255], [0, 76, 0]]
    assert np.asarray(saliency_to_image(MAP * 10 - 3, with_alpha=True, signed=False)).tolist() == with_alpha.tolist()
    assert np.asarray(saliency_to_image(MAP - 0.5, normalize=False, with_alpha=True))[..., 3].max() == 153
    assert np.asarray(saliency_to_image(np.full((2, 3), 7.0), with_alpha=True))[..., 3].max() == 0
    assert saliency_to_image(MAP, Image.new("L", (30, 20))).size == (3, 2)


def test_zero_of_a_signed_map_is_transparent_in_every_picture():
    signed = np.array([[-2.0, 0.0, 4.0], [1.0, 0.0, 0.0]])
    given = []
    picture = np.asarray(
        saliency_to_image(signed, cm=lambda map_: given.append(map_) or grey_map(map_), with_alpha=True)
    )
    assert given[0].tolist() == [[0.25, 0.5, 1.0], [0.625, 0.5, 0.5]]
    assert picture[..., 3].tolist() == [[153, 0, 255], [76, 0, 0]]
    against, _, speaks_for = np.asarray(saliency_to_image(signed, with_alpha=True))[0, :, :3].tolist()
    assert against == [255, 128, 128]  # half of red
    assert speaks_for == [0, 128, 0]
    assert np.asarray(saliency_to_image(np.abs(signed), with_alpha=True, signed=True))[0, 2].tolist()[:3] == speaks_for


def test_a_few_outliers_do_not_leave_the_rest_transparent():
    map_ = np.ones((10, 10))
    map_[0, 0], map_[0, 1:4] = 10, 0
    assert np.asarray(saliency_to_image(map_, with_alpha=True))[0, :5, 3].tolist() == [255, 0, 0, 0, 255]


def test_what_has_no_picture_is_refused():
    with pytest.raises(ValueError, match=r"one map \(H, W\), got shape \(2, 1, 2, 3\)"):
        saliency_to_image(np.zeros((2, 1, 2, 3)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        saliency_to_image(np.array([[np.nan, 1.0]]))


def test_a_call_can_return_pictures_and_shows_them_in_notebooks_only(two_channels, monkeypatch):
    explainer, images = Gradient(two_channels()), Tensor(np.repeat(two_channels.IMAGE, 2, axis=0))
    pictures = explainer(images, 0, ret="image")
    assert [picture.size for picture in pictures] == [(4, 2)] * 2
    assert [len(row) for row in explainer(images, [[0, 1], [1, 0]], ret="image")] == [2, 2]
    shown = []
    python = types.ModuleType("IPython")
    python.display = types.SimpleNamespace(display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", python)
    explainer(images, 0)
    assert shown == []
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    explainer(images, 0, show=False)
    assert shown == []
    explainer(images, 0)
    assert [np.array_equal(a, b) for a, b in zip(shown, pictures, strict=True)] == [True, True]
