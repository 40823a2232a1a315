"""Pictures with several methods side by side: the function for notebooks, and ``explainrun explain``."""

import errno
import os
import re
import subprocess
import sys
import types

import mindspore as ms
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mindspore import Tensor
from PIL import Image

from explainrun.configs.digit_network import DigitNetwork
from explainrun.configs.digit_scenes import DigitScenes
from explainrun.explainers import EXPLAINERS, AblationCAM, GradCAM, Gradient, InputXGradient, NoiseTunnel, ScoreCAM
from explainrun.runner import PlanError, explain
from explainrun.runner.cli.main import main
from explainrun.runner.config.build import network_of
from explainrun.runner.figures.request import PictureRequest
from explainrun.runner.figures.targets import labels_of, targets_of
from explainrun.summary_format.errors import nearest

WEIGHTS = np.array([[[[1, 0, 0], [0, 2, 0]]], [[[0, -1, 1], [0, 4, 0]]]], np.float32)  # two classes of (1, 2, 3)
IMAGE = np.array([[[1, 2, 8], [3, 1, 0]]], np.float32)  # logits 3 and 10
TINY = """
import numpy as np
from mindspore import Tensor, nn

class Tiny(nn.Cell):
    def __init__(self, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, 2, pad_mode="pad", padding=1, weight_init="normal")
        self.act = nn.GELU()
        self.unused = nn.ReLU()
        self.head = nn.Dense(4, 2)
        rng = np.random.default_rng(4)
        for parameter in self.trainable_params():
            parameter.set_data(Tensor(rng.normal(0, 0.4, parameter.shape).astype(np.float32)))

    def construct(self, x):
        return self.head(self.act(self.conv(x)).mean((2, 3)))

class Flat(nn.Cell):
    def __init__(self):
        super().__init__()
        self.head = nn.Dense(3 * 6 * 9, 2)

    def construct(self, x):
        return self.head(x.reshape(x.shape[0], -1))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a scene of digits that is not square, and networks."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(DigitScenes()[2].image[6:96]).save("scene.png")  # 90 high, 112 wide, a 6
    (tmp_path / "tiny.py").write_text(TINY)
    return tmp_path


@pytest.fixture
def tiny():
    module = types.ModuleType("tiny")
    exec(TINY, module.__dict__)
    return module.Tiny


def command(*arguments):
    return CliRunner().invoke(main, ["explain", *map(str, arguments)])


def shown(figure):
    """Titles and topmost pictures of the panels."""
    return {
        axes.get_title(): np.asarray(axes.get_images()[-1].get_array()) if axes.get_images() else axes.texts
        for axes in figure.axes
    }


def test_the_picture_and_its_maps(linear):
    panels = shown(explain(linear(WEIGHTS), IMAGE, ["InputXGradient", "gradient"], rows=1))
    assert list(panels) == ["class 1: 0.999", "InputXGradient", "Gradient"]
    assert panels["class 1: 0.999"][0, 2].tolist() == [8, 8, 8]  # of 0..255
    # Pixel times weight is -2, 8, 4: sums 2, 6, 14 of the magnitudes, of which 90 % are reached at 8.
    np.testing.assert_allclose(panels["InputXGradient"], [[0, -0.25, 1], [0, 0.5, 0]])
    np.testing.assert_allclose(panels["Gradient"], [[0, 0.25, 0.25], [0, 1, 0]])


def test_zero_stays_in_the_middle_of_signed_methods_alone(linear):
    network = linear(np.stack([np.array([[[1, 2, 8], [3, 1, 0]]]), np.ones((1, 2, 3))]))
    methods = [InputXGradient(network), NoiseTunnel(InputXGradient(network), nt_type="vargrad", nt_samples=2)]
    drawn = [axes.get_images()[-1] for axes in explain(network, IMAGE + 1, methods).axes[1:]]
    assert [(picture.get_cmap().name, picture.get_clim()) for picture in drawn] == [
        ("RdWhGn", (-1, 1)), ("inferno", (0, 1))
    ]  # fmt: skip
    assert drawn[0].get_array().min() == 0  # nothing speaks against the label here


def test_a_class_by_name_by_index_or_one_a_picture(linear):
    network, several = linear(WEIGHTS), np.stack([IMAGE, IMAGE * 2])
    options = {"methods": InputXGradient(network), "class_names": ["owl", "1"], "activation_fn": "sigmoid"}
    assert next(iter(shown(explain(network, IMAGE, target="owl", **options)))) == "owl: 0.953\n(first: 1, 1.000)"
    assert next(iter(shown(explain(network, Tensor(IMAGE), target=0, **options)))).startswith("owl: 0.953")
    assert next(iter(shown(explain(network, IMAGE, target="1", **options)))) == "1: 1.000"
    figure = explain(network, several, target=["owl", None], **options)
    assert [axes.get_title() for axes in figure.axes][::2] == ["owl: 0.953\n(first: 1, 1.000)", "1: 1.000"]


def test_rows_of_panels(linear):
    network = linear(WEIGHTS)
    methods = [Gradient(network, name=f"number {number}") for number in range(4)]
    wide, high = (explain(network, np.stack([IMAGE] * 2), methods, rows=rows) for rows in (1, 2))
    assert wide.axes[0].get_gridspec().get_geometry() == (2, 5)
    assert high.axes[0].get_gridspec().get_geometry() == (4, 3)
    assert [axes.get_title() for axes in high.axes[6:12]] == ["class 1: 0.999"] + [
        f"number {number}" for number in range(4)
    ] + [""]
    assert not high.axes[11].axison


def test_maps_lie_over_the_picture_in_its_own_shape(folder):
    network = DigitNetwork()
    figure = explain(network, "scene.png", "Gradient", size=(40, 80), mean=0.5, std=0.25, alpha=0.25)
    figure.canvas.draw()
    for axes in figure.axes:
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(90 / 112)
    picture, over = figure.axes[1].get_images()
    assert picture.get_array().shape == (90, 112)
    assert (over.get_array().shape, over.get_alpha(), over.get_cmap().name) == ((40, 80), 0.25, "inferno")
    assert picture.get_extent() == over.get_extent()
    values = np.asarray(over.get_array())
    assert (values.min(), values.max()) == (0, 1)


def test_colour_bars_stand_below_maps_and_panels_keep_their_shape(folder):
    figure = explain(
        DigitNetwork(), "scene.png", ["Gradient", "InputXGradient"], mean=0.5, std=0.25, show_colorbar=True
    )
    figure.canvas.draw()
    panels, bars = figure.axes[:3], [bar for bar in figure.axes[3:] if bar.get_visible()]
    assert len({round(axes.get_window_extent().width) for axes in panels}) == 1
    assert [bar.get_xlim() for bar in bars] == [(0, 1), (-1, 1)]
    for axes in panels:
        box = axes.get_window_extent()
        assert box.height / box.width == pytest.approx(90 / 112, abs=0.01)
    for axes, bar in zip(panels[1:], bars, strict=True):
        assert bar.get_window_extent().y1 < axes.get_window_extent().y0


def test_pictures_of_several_shapes_are_equally_wide(tiny):
    pictures = [Image.new("RGB", size) for size in ((40, 60), (60, 20))]
    figure = explain(tiny(), pictures, "Gradient")
    figure.canvas.draw()
    (tall, wide) = (figure.axes[place].get_window_extent() for place in (0, 2))
    assert tall.width == pytest.approx(wide.width, rel=0.05)
    assert tall.height > 4 * wide.height


def test_the_deepest_feature_maps_are_read_unless_a_layer_is_named(folder, caplog, repository):
    caplog.set_level("INFO", "explainrun")
    network = network_of(repository / "configs" / "quickstart.yaml")
    assert "GradCAM (block6)" in shown(explain(network, "scene.png", "GradCAM"))
    assert "layer 'block6' was chosen automatically for GradCAM" in caplog.text
    assert "GradCAM (block3)" in shown(explain(network, "scene.png", "gradcam", layer="block3"))
    assert "GradCAM (block3, block4.relu)" in shown(
        explain(network, "scene.png", "gradcam", None, ["block3", "block4.relu"])
    )
    own = {"GradCAM": {"layer": "block1", "name": "mine"}}
    assert "mine (block1)" in shown(explain(network, "scene.png", [own], layer="block3"))
    assert "GradCAM (block2)" in shown(explain(network, "scene.png", GradCAM(network, "block2"), layer="block3"))


def test_maps_of_one_place_are_not_read(folder, tiny):
    class Pooled(tiny):
        def construct(self, x):
            return self.head(self.unused(self.act(self.conv(x)).mean((2, 3), keep_dims=True)).mean((2, 3)))

    assert "GradCAM (act)" in shown(explain(Pooled(), "scene.png", "GradCAM"))


def test_random_masks_do_not_depend_on_other_pictures_but_on_the_seed(linear):
    network, methods = linear(WEIGHTS), [{"RISE": {"num_masks": 20, "grid": 2}}]
    both = explain(network, np.stack([IMAGE, IMAGE + 1]), methods)
    alone, other = (explain(network, IMAGE + 1, methods, seed=seed) for seed in (0, 1))
    places = (both.axes[3], alone.axes[1], other.axes[1])
    second, again, differs = (np.asarray(axes.get_images()[-1].get_array()) for axes in places)
    np.testing.assert_array_equal(second, again)
    assert not np.array_equal(again, differs)


def test_a_method_that_refuses_has_a_panel_that_says_why_and_spoils_no_other(tiny, caplog):
    network, image = tiny(), np.random.default_rng(0).normal(size=(3, 6, 9)).astype(np.float32)
    figure = explain(
        network,
        image,
        ["Gradient", "GuidedBackprop", GradCAM(network, "unused"), GradCAM(network, "conv", name="good")],
    )
    panels = shown(figure)
    assert "no map: no ReLU or ReLU6 ran" in panels["GuidedBackprop"][0].get_text().replace("\n", " ")
    assert "unused" in panels["GradCAM (unused)"][0].get_text()
    alone = shown(explain(network, image, ["Gradient", GradCAM(network, "conv", name="good")]))
    for name in ("Gradient", "good (conv)"):
        np.testing.assert_array_equal(panels[name], alone[name])
    assert "image 0: no map by GuidedBackprop: no ReLU or ReLU6 ran" in caplog.text


def test_a_map_that_is_the_same_everywhere_says_so(linear):
    network = linear(np.stack([np.ones((1, 2, 3)), np.zeros((1, 2, 3))]))
    assert "Gradient\nthe same everywhere" in shown(explain(network, IMAGE, "Gradient", target=0))
    assert "Gradient\nzero everywhere" in shown(explain(network, IMAGE, "Gradient", target=1))


def test_all_that_is_wrong_with_a_call_is_told_at_once(linear, folder):
    network, another = linear(WEIGHTS), linear(WEIGHTS)
    with pytest.raises(PlanError) as caught:
        explain(
            network, ["no.png", 3, "scene.png"],
            ["Gradcan", {"RISE": {"masks": 3}}, Gradient(another), "InputXGradient", InputXGradient(network), 7],
            ["owl", "dog", 2], "head", class_names=["owl", "cat"], alpha=2, activation_fn="relu",
        )  # fmt: skip
    told = {problem.code: problem.values for problem in caught.value.problems}
    assert sorted(told) == sorted(caught.value.codes)  # each once
    for code, values in (
        ("no-picture", {"source": "no.png"}),
        ("image-kind", {"name": "image 1", "kind": "int"}),
        ("not-a-share", {"name": "alpha", "given": 2}),
        ("activation-unknown", {"known": ["sigmoid", "softmax"], "given": "relu"}),
        ("method-unknown", {"name": "Gradcan", "nearest": nearest("GradCAM", EXPLAINERS)}),
        ("option-unknown", {"name": "RISE", "option": "masks", "nearest": re.compile("num_masks")}),
        ("network-of-another", {"explainer": "Gradient"}),
        ("method-named-twice", {"name": "InputXGradient"}),
        ("method-malformed", {"given": 7}),
        ("layer-unknown", {"network": "Linear", "layer": "head"}),
        ("class-unknown", {"name": "dog", "nearest": nearest("dog", ["owl", "cat"])}),
        ("class-out-of-range", {"index": 2, "last": 1}),
    ):
        for name, value in values.items():
            found = told[code][name]
            assert value.search(found) if isinstance(value, re.Pattern) else found == value, (code, name, found)
    assert len(told) == 12
    assert network.calls == []  # nothing ran


@pytest.mark.parametrize(
    ("options", "code", "values"),
    [
        ({"images": []}, "no-images", {}),
        ({"images": IMAGE[0]}, "image-shape", {"name": "image 0", "shape": (2, 3)}),
        ({"images": IMAGE * np.nan}, "image-not-finite", {}),
        ({"target": [[0], [1]]}, "targets-not-pictures", {"targets": 2, "pictures": 1}),
        ({"target": "owl"}, "class-unknown", {"name": "owl"}),
        ({"target": 2}, "class-out-of-range", {"index": 2, "last": 1}),
        ({"target": -1}, "class-unknown", {"name": -1}),
        ({"class_names": ["owl"]}, "class-names-not-outputs", {"names": 1, "classes": 2}),
        ({"images": IMAGE[:, :, :2]}, "code-raised", {"where": re.compile("image 0, an image 1x2x2 ")}),
        ({"methods": "GradCAM"}, "no-feature-maps", {"where": "GradCAM"}),
        ({"methods": "RISEPlus"}, "option-missing", {"name": "RISEPlus", "options": ["ood_net"]}),
        ({"methods": ""}, "no-method", {}),
        ({"mean": 0.5}, "mean-without-std", {}),
        ({"channels": 2}, "channels-unknown", {"known": (1, 3, 4), "given": 2}),
        ({"size": (0, 3)}, "size-not-two", {"given": (0, 3)}),
        ({"rows": 0}, "not-a-whole-number", {"name": "rows", "least": 1, "given": 0}),
        ({"cmap": "infern"}, "colour-map-unknown", {"name": "infern", "nearest": re.compile("'inferno'")}),
    ],
)
def test_what_a_call_refuses(raising, linear, options, code, values):
    given = {"images": IMAGE, "methods": "Gradient", **options}
    with raising(ValueError, code, **values):
        explain(linear(WEIGHTS), **given)


def test_no_network(folder):
    with pytest.raises(TypeError, match=r"network must be a mindspore\.nn\.Cell, got str"):
        explain("tiny.py:Tiny", "scene.png")


def test_the_network_is_left_as_it_was(two_channels, state):
    network = two_channels().set_train(True)
    before = state(network)
    explain(network, two_channels.IMAGE[0], "Gradient,GuidedBackprop,GradCAM")
    assert state(network) == before


def test_the_command_on_a_config(folder, repository):
    config = repository / "configs" / "quickstart.yaml"
    done = command("scene.png", "scene.png", "--network", config, "--target", 6, "--savefig", "out.png", "--rows", 2)
    assert (done.exit_code, done.stdout.splitlines()) == (
        0, ["scene.png: 6, probability 1.0000", "scene.png: 6, probability 1.0000", "written to out.png"],
    )  # fmt: skip
    with Image.open("out.png") as written:
        assert written.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        assert written.width == pytest.approx(3 * 2.3 * 200, rel=0.05)
    question, (picture,), _ = PictureRequest(["scene.png"], str(config), methods="gradcam").prepared()
    assert picture.pixels.shape == (3, 112, 112)  # as the config's data
    assert picture.colours.shape == (90, 112, 3)
    assert (question.methods, type(question.activation_fn).__name__) == ([{"GradCAM": {"layer": "block6"}}], "Sigmoid")
    options = {"methods": "gradcam,rise", "layer": "block5", "settings": [("rise.num_masks", 9)], "size": "90,112"}
    question, (picture,), _ = PictureRequest(["scene.png"], str(config), mean="0", std="1", **options).prepared()
    assert (question.methods, question.layers) == ([{"GradCAM": {}}, {"RISE": {"num_masks": 9}}], ["block5"])
    np.testing.assert_allclose(picture.pixels * 255, picture.colours.transpose(2, 0, 1), atol=1e-4)


def test_what_a_config_says_of_an_ood_net_is_found_from_elsewhere(folder, repository):
    done = command(
        "scene.png", "--network", repository / "configs" / "full.yaml", "--method", "RISEPlus",
        "--set", "RISEPlus.num_masks=3", "--savefig", "out.png",
    )  # fmt: skip
    assert done.exit_code == 0, done.output


def test_the_command_without_a_display_writes_beside_you_and_over_nothing(folder, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    (folder / "scene_explained.png").write_text("mine")
    done = command("scene.png", "--network", "tiny.py:Tiny", "--method", "Gradient", "--noblock")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "written to scene_explained_2.png")
    assert (folder / "scene_explained.png").read_text() == "mine"
    with Image.open("scene_explained_2.png") as written:
        assert written.width > 500


def test_the_command_with_a_display_shows_a_window(folder, monkeypatch):
    calls = []
    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "qt")
    monkeypatch.setattr(pyplot, "show", lambda block: calls.append((block, len(pyplot.gcf().axes))))
    for flags in ((), ("--noblock",)):
        done = command("scene.png", "--network", "tiny.py:Tiny", "--method", "Gradient", *flags)
        assert (done.exit_code, "written" in done.stdout) == (0, False), done.output
    pyplot.close("all")
    assert calls == [(True, 2), (False, 2)]
    assert not list(folder.glob("*explained*"))


def test_a_method_without_a_map_is_told_and_has_an_exit_code(folder):
    given = ("scene.png", "--network", "tiny.py:Tiny", "--savefig", "out.png")
    done = command(*given, "--method", "Gradient,GuidedBackprop")
    assert done.exit_code == 2  # running it again would not help
    assert [line for line in done.stderr.splitlines() if line.startswith("explainrun")] == [
        "explainrun: scene.png: no map by GuidedBackprop: no ReLU or ReLU6 ran between the images and the logits, so "
        "the guided rule would give the plain gradient; use Gradient"
    ]
    assert done.stdout.splitlines()[-1] == "written to out.png"
    assert command(*given).exit_code == 0  # nobody asked for that one


@pytest.mark.parametrize("flags", [("--savefig", "out.png"), ()])
def test_a_figure_that_cannot_be_written_is_no_bad_input(folder, monkeypatch, flags):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(Figure, "savefig", full)
    done = command("scene.png", "--network", "tiny.py:Tiny", "--method", "Gradient", *flags)
    path = flags[-1] if flags else "scene_explained.png"
    assert (done.exit_code, "written to" in done.stdout) == (3, False)
    assert f"explainrun: failed: cannot write {path}: No space left on device\n" in done.stderr


def test_all_that_is_wrong_with_a_command_is_told_at_once(folder):
    (folder / "bad.png").write_text("no picture")
    done = command(
        "none.png", "bad.png", "--method", "Gradcan,rise,RISE", "--savefig", "there/out.png", "--size", "3,0",
        "--mean", "0.5,a", "--alpha", 2, "--set", "Occlusion.window=3", "--set", "rise=3", "--classes", "names.txt",
    )  # fmt: skip
    assert done.exit_code == 2
    first, *lines = done.stderr.splitlines()
    assert first == "explainrun: 11 problems:"
    assert [line.strip() for line in lines] == [
        "--network: name one: a config (.yaml), 'package.module:factory', 'path/to/file.py:factory' or 'mindcv:NAME'",
        "--size: must be H,W in pixels, or one number for a square, got '3,0'",
        "--mean: must be one number, or one for each channel with commas between, got '0.5,a'",
        "no picture none.png",
        "bad.png is not a picture of a known kind",
        "alpha must lie in 0..1, got 2.0",
        "--savefig: there is no folder there",
        "--classes: [Errno 2] No such file or directory: '" + str(folder / "names.txt") + "'",
        "--method: no explainer 'Gradcan'; did you mean 'GradCAM' or 'XGradCAM' or 'GradCAMpp'?",
        "--set: 'Occlusion' is not among the methods RISE",
        "--set: 'rise' is not METHOD.option",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--network", "tiny.py:Tine"), "--network: tiny.py has no factory 'Tine'; did you mean 'Tiny'"),
        (("--network", "none.yaml"), "cannot read none.yaml"),
        (("--network", "tiny.py:Tiny", "--checkpoint", "no.ckpt"), "--network: no checkpoint"),
        (("--network", "tiny.py:Tiny", "--layer", "conf"), "Tiny has no layer 'conf'; did you mean 'conv'"),
        (("--network", "tiny.py:Tiny", "--target", "2"), "no class 2; the network's classes are 0..1"),
        (("--network", "tiny.py:Tiny", "--target", "ow", "--classes", "two.txt"), "no class 'ow'; did you mean 'owl'"),
        (("--network", "tiny.py:Tiny", "--classes", "three.txt"), "there are 3 class names, the network has 2 classes"),
        (
            ("--network", "tiny.py:Tiny", "--mean", "1,2", "--std", "1"),
            "mean holds 2 numbers, the pictures get 3 channels",
        ),
        (("--network", "tiny.py:Tiny", "--mean", "1", "--std", "0"), "std must be above 0, got 0.0"),
        (("--network", "tiny.py:Tiny", "--mean", "1"), "mean and std go together: give both or neither"),
        (("--network", "tiny.py:Tiny", "--savefig", "out.doc"), "--savefig: out.doc must end in one of .png, "),
        (("--network", "tiny.py:Tiny", "--savefig", "d.png"), "--savefig: d.png is a folder"),
        (("--network", "tiny.py:Tiny", "--savefig", "p.png"), "--savefig: p.png is a pipe; name a file"),
        (("--network", "tiny.py:Tiny", "--savefig", "zero.png"), "--savefig: zero.png is a device; name a file"),
        (("--network", "tiny.py:Tiny", "--method", "rise,rise"), "method 'RISE' is named twice"),
        (("--network", "tiny.py:Tiny", "--set", "Gradient.size=3"), "Gradient has no option 'size'"),
        (
            ("--network", "tiny.py:Tiny", "--method", "RISE", "--set", "RISE.num_masks=1"),
            "RISE: num_masks must be a whole",
        ),
        (("--network", "tiny.py:Tiny", "--method", "RISEPlus"), "RISEPlus needs the option 'ood_net'"),
        (
            ("--network", "tiny.py:Flat"),
            "the network fails on scene.png, an image 3x90x112 (channels x height x width; ",
        ),
    ],
)
def test_what_the_command_refuses(folder, arguments, words):
    (folder / "two.txt").write_text("cat\nowl\n")
    (folder / "three.txt").write_text("cat\nowl\nemu\n")
    (folder / "d.png").mkdir()
    os.mkfifo("p.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    done = command("scene.png", *arguments)
    lines = [line for line in done.stderr.splitlines() if line.startswith("explainrun:")]
    assert (done.exit_code, len(lines)) == (2, 1), done.output
    assert lines[0].startswith(f"explainrun: {words}")
    assert not list(folder.glob("*explained*"))


def test_a_configs_mistakes_are_told_together(folder, repository):
    (folder / "odd.yaml").write_text((repository / "configs" / "quickstart.yaml").read_text().replace("mean:", "men:"))
    done = command("none.png", "--network", "odd.yaml", "--size", "112")
    assert [line.strip() for line in done.stderr.splitlines()[1:]] == [
        "unknown key 'men'; did you mean 'mean'?",
        "network: no checkpoint digit_network.ckpt",
        "no picture none.png",
    ]


def test_mindcv_networks_get_pictures_as_imagenet_has_them(folder, monkeypatch, tiny):
    models = types.ModuleType("mindcv.models")
    models.list_models = lambda: ["tiny"]
    models.create_model = lambda name: tiny()
    monkeypatch.setitem(sys.modules, "mindcv", types.ModuleType("mindcv"))
    monkeypatch.setitem(sys.modules, "mindcv.models", models)
    Image.new("RGB", (7, 5), (255, 0, 51)).save("red.png")
    question, (picture,), _ = PictureRequest(["red.png"], "mindcv:tiny").prepared()
    assert picture.pixels.shape == (3, 224, 224)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(picture.pixels[:, 100, 3], expected, rtol=1e-5)
    assert type(question.activation_fn).__name__ == "Softmax"


def test_other_networks_get_the_picture_as_it_is_and_the_command_says_so(folder, caplog):
    caplog.set_level("INFO", "explainrun")
    _, (picture,), _ = PictureRequest(["scene.png"], "tiny.py:Tiny").prepared()
    np.testing.assert_allclose(picture.pixels, np.asarray(Image.open("scene.png")).transpose(2, 0, 1) / 255, rtol=1e-6)
    assert "pictures are given to the network in the size that they have" in caplog.text
    assert "pixels are given to the network as 0..1" in caplog.text


def test_a_grey_network_gets_grey_pictures(folder, tiny):
    network = tiny(channels=1)
    panels = shown(explain(network, Image.open("scene.png"), "Gradient"))
    assert panels["Gradient"].shape == (90, 112)


def test_a_checkpoint(folder, tiny):
    network = tiny()
    network.head.bias.set_data(Tensor(np.array([0, 9], np.float32)))
    ms.save_checkpoint(network, "tiny.ckpt")
    given = ("scene.png", "--arch", "tiny.py:Tiny", "--method", "Gradient", "--savefig", "out.png")
    done = command(*given, "--checkpoint", "tiny.ckpt", "--activation", "sigmoid")
    assert done.stdout.splitlines()[0] == "scene.png: class 1, probability 0.9999", done.output


def test_help_answers_without_loading_anything_slow():
    code = (
        "import sys\nfrom explainrun.runner.cli.main import main\n"
        "try: main(['explain', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'mindspore', 'matplotlib', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--class-idx" in done.stdout


def test_the_method_inside_another_reads_the_layer_too(tiny):
    tunnel = {"NoiseTunnel": {"explainer": "GradCAM", "nt_samples": 2, "stdevs": 0.1}}
    image = np.random.default_rng(0).random((3, 8, 12), np.float32)
    assert "NoiseTunnel (GradCAM, conv)" in shown(explain(tiny(), image, [tunnel], layer="conv"))
    assert "NoiseTunnel (GradCAM, act)" in shown(explain(tiny(), image, [tunnel]))


def test_a_layer_that_does_not_run_spoils_no_other_method(tiny):
    network, image = tiny(), np.random.default_rng(0).random((3, 8, 12), np.float32)
    panels = shown(explain(network, image, [ScoreCAM(network, "unused"), AblationCAM(network, "conv")]))
    assert "did not run" in panels["ScoreCAM (unused)"][0].get_text()
    assert any(title.startswith("AblationCAM (conv)") for title in panels)
    assert not isinstance(next(of for title, of in panels.items() if title.startswith("AblationCAM")), list)


def test_the_most_probable_classes_have_a_row_each(linear):
    """The pixel of class k decides on it; passes are shared by the classes of a picture."""
    weights = np.eye(3, 8, dtype=np.float32).reshape(3, 1, 2, 4)
    network, image = linear(weights), np.zeros((1, 2, 4), np.float32)
    image[0, 0, :3] = 0.25, 1.0, 0.5
    names = {0: "ant", 1: "bee", 2: "ant"}
    figure = explain(network, [image, 1 - image], "Gradient", target=["top-2", "ant (2)"], class_names=names)
    titles = [axes.get_title().split(":")[0] for axes in figure.axes]
    assert titles == ["bee", "Gradient", "ant (2)", "Gradient", "ant (2)", "Gradient"]
    shares = np.exp([0.25, 1.0, 0.5]) / np.exp([0.25, 1.0, 0.5]).sum()
    for axes, share in ((figure.axes[0], shares[1]), (figure.axes[2], shares[2])):
        assert f": {share:.3f}" in axes.get_title()
    one_by_one = explain(network, [image, image], "Gradient", target=["bee", 2], class_names=names)
    for axes, alone in zip(figure.axes[:4], one_by_one.axes, strict=True):
        for drawn, by_itself in zip(axes.images, alone.images, strict=True):
            np.testing.assert_array_equal(drawn.get_array(), by_itself.get_array())
    assert max(network.calls) <= 16


@pytest.mark.parametrize(
    ("target", "pictures", "rows"),
    [
        (["ant, red", 2], 1, ["ant, red", "cow"]),
        ([["cow", "ant, red"]], 2, ["cow", "ant, red"] * 2),
        ([["top-2", 2, "bee"], "predicted"], 2, ["bee", "ant, red", "cow", "bee"]),
        ([1, 0], 2, ["bee", "ant, red"]),
        (np.array([[2, 0], [0, 0]]), 2, ["cow", "ant, red", "ant, red"]),
        ((None, "0"), 1, ["bee", "ant, red"]),
        ("truth", 1, ["truth"]),
        (["top-1", "truth"], 1, ["bee", "truth"]),
    ],
)
def test_several_classes_of_a_picture(target, pictures, rows):
    names = ["ant, red", "bee", "truth" if "truth" in target else "cow"]
    asked = targets_of(target, pictures)
    labels = [labels_of(of_picture, names, np.float32([0.5, 1.0, 0.25])) for of_picture in asked]
    assert (len(asked), [names[label] for of_picture in labels for label in of_picture]) == (pictures, rows)


@pytest.mark.parametrize(
    ("target", "pictures", "code", "values"),
    [
        ("truth", 1, "target-is-truth", {"given": "truth"}),
        (["predicted", "truth and confident"], 1, "target-is-truth", {"given": "truth and confident"}),
        ("bee,2", 1, "targets-joined", {"given": "bee,2", "parts": ["bee", "2"]}),
        ("bee,ant", 1, "class-unknown", {"name": "bee,ant"}),
        (["bee"], 2, "targets-not-pictures", {"targets": 1, "pictures": 2}),
        ([["bee"], [0], [1]], 2, "targets-not-pictures", {"targets": 3, "pictures": 2}),
        ([], 1, "targets-empty", {}),
        ([[], [1]], 2, "targets-empty", {}),
        ([{}], 1, "class-unknown", {"name": {}}),
    ],
)
def test_targets_that_mean_no_classes(linear, raising, target, pictures, code, values):
    images = [np.zeros((1, 2, 4), np.float32)] * pictures
    network = linear(np.ones((3, 1, 2, 4)))
    with raising(PlanError, code, **values):
        explain(network, images, "Gradient", target, class_names=["ant, red", "bee", "cow"])
    assert network.calls == []


@pytest.mark.parametrize(
    ("target", "code"), [("truth", "target-is-truth"), ("1, 2", "targets-joined"), ("1, 3", "class-unknown")]
)
def test_targets_where_classes_have_no_names(linear, raising, target, code):
    with raising(PlanError, code):
        explain(linear(np.ones((3, 1, 2, 4))), np.zeros((1, 2, 4), np.float32), "Gradient", target)


def test_classes_are_named_one_by_one_on_the_command_line(folder):
    (folder / "two.txt").write_text("cat, grey\nowl\n")
    given = ("scene.png", "--network", "tiny.py:Tiny", "--method", "Gradient", "--classes", "two.txt")
    done = command(*given, "--target", "owl", "--class-idx", "cat, grey", "--savefig", "out.png")
    assert done.exit_code == 0, done.output
    assert [line.partition(", prob")[0] for line in done.stdout.splitlines()[:2]] == [
        "scene.png: owl", "scene.png: cat, grey",
    ]  # fmt: skip
    done = command(*given, "--target", "truth")
    assert (done.exit_code, "comes without a true label" in done.stderr) == (2, True)


@pytest.mark.parametrize(("target", "code"), [("top-4", "labels-too-many"), ("ant", "class-ambiguous")])
def test_classes_that_cannot_be_meant(linear, target, code, raising):
    network = linear(np.ones((3, 1, 2, 4)))
    with raising(PlanError, code):
        explain(network, np.zeros((1, 2, 4), np.float32), "Gradient", target=target, class_names=["ant", "bee", "ant"])
