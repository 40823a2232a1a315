"""Maps as figures, read back from the axes."""

import io
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from explainrun.explainers import visualize
from explainrun.explainers.visual.visualization import scaled

MAP = np.array([[0.0, 4.0, -8.0], [1.0, 2.0, -1.0]], np.float32)  # two rows, three columns
GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)
IMAGE = np.stack([GREY, GREY[:, ::-1], np.full_like(GREY, 30)])  # (C, H, W)


def drawn(figure, panel=0, layer=-1):
    """What a panel shows: the values of one of its pictures, as they were handed to matplotlib."""
    return np.asarray(figure.axes[panel].get_images()[layer].get_array())


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


@pytest.mark.parametrize(
    ("sign", "expected", "colours", "low"),
    [
        # outlier_perc=0: divided by the largest magnitude of that sign
        ("all", [[0, 0.5, -1], [0.125, 0.25, -0.125]], "RdWhGn", -1),
        ("positive", [[0, 1, 0], [0.25, 0.5, 0]], "Greens", 0),
        ("negative", [[0, 0, 1], [0, 0, 0.125]], "Reds", 0),
        ("absolute_value", [[0, 0.5, 1], [0.125, 0.25, 0.125]], "Blues", 0),
        ("absolute", [[0, 0.5, 1], [0.125, 0.25, 0.125]], "Blues", 0),
    ],
)
def test_signs_scales_and_colours(sign, expected, colours, low):
    figure = visualize(MAP, methods="heat_map", signs=sign, outlier_perc=0)
    picture = figure.axes[0].get_images()[0]
    np.testing.assert_array_equal(drawn(figure), expected)
    assert (picture.get_cmap().name, picture.get_clim()) == (colours, (low, 1))
    assert visualize(MAP, cmap="hot").axes[0].get_images()[0].get_cmap().name == "hot"


def test_outliers_are_a_share_of_the_sum_and_no_percentile():
    values = np.array([[1, 1, 1], [1, 6, 90]], np.float64)  # sums 1, 2, 3, 4, 10, 100
    for share, scale in ((0, 90), (89, 90), (90, 6), (95.5, 6), (96, 1)):
        shown = drawn(visualize(values, signs="positive", outlier_perc=share))
        np.testing.assert_allclose(shown, np.minimum(values / scale, 1), err_msg=str(share))
    # The slow twin, on values of both signs: walk up the magnitudes until 98 % of their sum lie below.
    values = np.random.default_rng(3).normal(size=(7, 5)) ** 3
    walked = 0.0
    for magnitude in sorted(abs(values).ravel()):
        walked += magnitude
        if walked >= 0.98 * abs(values).sum():
            break
    np.testing.assert_allclose(drawn(visualize(values)), np.clip(values / magnitude, -1, 1))


def test_blended_masked_scaled_and_original():
    figure = visualize(MAP, IMAGE, outlier_perc=0, alpha=0.25)
    assert titles(figure) == [
        "original image", "heat map (all)", "blended heat map (all)", "masked image (positive)",
        "alpha scaling (positive)",
    ]  # fmt: skip
    colours = IMAGE.transpose(1, 2, 0)
    positive = np.array([[0, 1, 0], [0.25, 0.5, 0]])
    np.testing.assert_array_equal(drawn(figure, 0), colours)
    np.testing.assert_allclose(drawn(figure, 2, 0), colours.mean(axis=2))
    over = figure.axes[2].get_images()[1]
    np.testing.assert_allclose(np.asarray(over.get_array()), [[0, 0.5, -1], [0.125, 0.25, -0.125]])
    assert over.get_alpha() == 0.25
    assert drawn(figure, 3).tolist() == [
        [[0, 0, 0], [51, 51, 30], [0, 0, 0]],
        [[38, 64, 8], [102, 102, 15], [0, 0, 0]],  # 153 / 4 = 38.25, 255 / 4 = 63.75, 30 / 4 = 7.5 to even
    ]
    np.testing.assert_array_equal(drawn(figure, 4)[:, :, :3], colours)
    np.testing.assert_array_equal(drawn(figure, 4)[:, :, 3], (positive * 255).round())


def test_pairs_of_method_and_sign():
    figure = visualize(MAP, IMAGE, ("blended", "masked", "original"), ("negative", "absolute", "all"), outlier_perc=0)
    assert titles(figure) == ["blended heat map (negative)", "masked image (absolute)", "original image"]
    assert drawn(figure, 1)[0, 2].tolist() == [102, 0, 30]  # the pixel of the largest magnitude stays as it is
    assert titles(visualize(MAP, IMAGE, "heatmap", ("all", "negative"))) == ["heat map (all)", "heat map (negative)"]
    assert titles(visualize(MAP, IMAGE, ("heat_map", "alpha"), "positive", titles=["a $b", ""])) == ["a $b", ""]


def test_channels_summed_or_each_on_one_scale():
    maps = np.stack([MAP, MAP * 0.5])
    np.testing.assert_allclose(drawn(visualize(maps, outlier_perc=0)), MAP / 8)
    figure = visualize(maps, channels=True, outlier_perc=0)
    assert titles(figure) == ["channel 0\nheat map (all)", "channel 1\nheat map (all)"]
    np.testing.assert_allclose(drawn(figure, 1), MAP / 16)
    for one in (Tensor(MAP[None, None]), Tensor(MAP[None], ms.float64), MAP):
        assert titles(visualize(one, channels=True)) == ["heat map (all)"]


def test_a_map_without_values_of_a_sign_is_drawn_as_zeros_and_says_so():
    figure = visualize(np.zeros((2, 3)), IMAGE)
    assert [title.splitlines()[1:] for title in titles(figure)] == [
        [], ["zero everywhere"], ["zero everywhere"], ["nothing is positive"], ["nothing is positive"],
    ]  # fmt: skip
    assert not drawn(figure, 1).any()
    assert not drawn(figure, 3).any()
    assert titles(visualize(abs(MAP), signs="negative")) == ["heat map (negative)\nnothing is negative"]
    one_channel = visualize(np.stack([MAP, 0 * MAP]), channels=True)
    assert [title.splitlines()[-1] for title in titles(one_channel)] == ["heat map (all)", "zero everywhere"]


def test_images_of_every_kind_look_the_same():
    colours = IMAGE.transpose(1, 2, 0)
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.25, 0.5, 0.2])
    normalised = (IMAGE / 255.0 - mean[:, None, None]) / std[:, None, None]
    for image, options in (
        (Image.fromarray(colours), {}),
        (colours, {}),
        (Tensor(IMAGE), {}),
        (IMAGE.astype(np.float32), {}),
        (IMAGE / 255.0, {}),
        (Tensor((IMAGE / 255.0)[None], ms.float32), {}),
        (normalised, {"mean": mean, "std": std}),
        (normalised.transpose(1, 2, 0), {"mean": mean, "std": std}),
    ):
        np.testing.assert_array_equal(drawn(visualize(MAP, image, "original", **options)), colours)
    np.testing.assert_array_equal(drawn(visualize(MAP, GREY, "original")), np.repeat(GREY[:, :, None], 3, axis=2))
    stretched = drawn(visualize(MAP, np.stack([GREY - 7.0] * 3), "original"))  # below 0: no colours to tell
    assert (stretched.min(), stretched.max()) == (0, 255)
    larger = Image.fromarray(colours).resize((30, 20))
    assert drawn(visualize(MAP, larger, "original")).shape == (2, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (([1, 2],), {}, TypeError, "saliency must be a Tensor or an array, got list"),
        ((np.array([["a"]]),), {}, TypeError, "saliency must hold numbers"),
        ((np.zeros((2, 1, 4, 5)),), {}, ValueError, r"got shape \(2, 1, 4, 5\); draw one map at a time"),
        ((np.zeros((2, 0)),), {}, ValueError, r"must be \(H, W\) or \(C, H, W\), got shape \(2, 0\)"),
        ((MAP * np.nan,), {}, ValueError, "saliency holds NaN or infinity"),
        ((MAP, None, "masked"), {}, ValueError, "masked_image needs the image; give it, or ask for 'heat_map' alone"),
        ((MAP, IMAGE, "heat_mop"), {}, ValueError, "no method 'heat_mop'; did you mean 'heat_map'"),
        ((MAP, IMAGE, "heat_map", "positiv"), {}, ValueError, "no sign 'positiv'; did you mean 'positive'"),
        ((MAP, IMAGE, "masked", "all"), {}, ValueError, "masked_image cannot show the sign 'all'; ask for one of 'pos"),
        ((MAP, IMAGE, "alpha", "all"), {}, ValueError, "alpha_scaling cannot show the sign 'all'"),
        ((MAP, IMAGE, ("heat", "heat"), ("all",) * 3), {}, ValueError, "got 2 methods, 3 signs"),
        ((MAP, IMAGE, ()), {}, ValueError, "got 0 methods"),
        ((MAP, IMAGE[:2]), {}, ValueError, "1, 3 or 4 channels of 2 x 3 pixels, as the map has; got shape"),
        ((MAP, IMAGE.transpose(0, 2, 1)), {}, ValueError, r"got shape \(3, 3, 2\)"),
        ((MAP, IMAGE * np.nan), {}, ValueError, "image holds NaN"),
        ((MAP, "cat.png"), {}, TypeError, "image must be a Tensor or an array, got str"),
        ((MAP, IMAGE), {"mean": 0.5}, ValueError, "mean and std go together"),
        ((MAP,), {"outlier_perc": 100}, ValueError, "outlier_perc must lie from 0 to below 100, got 100"),
        ((MAP,), {"alpha": 1.5}, ValueError, r"alpha must lie in 0\.\.1, got 1.5"),
        ((MAP,), {"cmap": "Green"}, ValueError, "no colour map 'Green'; did you mean 'Greens'"),
        ((MAP,), {"cmap": 3}, TypeError, "cmap must be a matplotlib colour map or its name, got 3"),
        ((MAP,), {"titles": ["a", "b"]}, ValueError, "titles must hold a text for each of 1 panels"),
        ((MAP,), {"figsize": (3, 0)}, ValueError, r"figsize must be a width and a height in inches, got \(3, 0\)"),
    ],
)
def test_what_is_refused(arguments, options, error, words):
    with pytest.raises(error, match=words):
        visualize(*arguments, **options)


@pytest.mark.slow
def test_a_figure_of_its_own_that_a_notebook_shows_and_a_batch_job_writes(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from explainrun.explainers import visualize\n"
        "assert 'matplotlib' not in sys.modules\n"
        "figure = visualize(np.eye(3)[:2], colorbar=True, figsize=(4, 3))\n"
        "figure.savefig(sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, tmp_path / "a.png"], check=True, cwd=tmp_path)
    with Image.open(tmp_path / "a.png") as written:
        assert written.size == (400, 300)
    figure = visualize(MAP, IMAGE, show_colorbar=True)
    assert len(figure.axes) == 5 + 2  # bars below the two heat maps
    with Image.open(io.BytesIO(figure._repr_png_())) as shown:
        assert shown.width > 3 * shown.height


def test_long_titles_are_broken_and_panels_keep_their_shape():
    figure = visualize(MAP, titles="a very long title that would run over its neighbours if nobody broke it $5")
    figure.canvas.draw()
    axes = figure.axes[0]
    assert "\n" in axes.get_title()
    box = axes.get_window_extent()
    assert box.height / box.width == pytest.approx(2 / 3)
    words = axes.title.get_window_extent()
    assert words.width < figure.get_size_inches()[0] * figure.dpi


def test_without_outliers_the_largest_value_is_the_scale():
    rng = np.random.default_rng(0)
    for _ in range(300):
        map_ = rng.normal(size=(5, 7)) * (rng.random((5, 7)) < 0.3)
        (shown,), _ = scaled(map_[None], "all", 0.0)
        np.testing.assert_allclose(shown, map_ / np.abs(map_).max())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"figsize": 5}, "figsize must be a width and a height"),
        ({"methods": 3}, "methods must be a text or a list of texts, got 3"),
        ({"titles": 3}, "titles must be a text or a list of texts, got 3"),
    ],
)
def test_options_of_other_types(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        visualize(np.ones((2, 3)), **options)
