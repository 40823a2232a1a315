"""Figures in pyplot and outside, in windows, notebooks and files."""

import sys
import types

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mindspore import Tensor
from PIL import Image, ImageShow

from explainrun.explainers import Gradient, visualize

MAP = np.array([[0.0, 0.5, 1.0], [0.0, 0.25, 0.0]])


@pytest.fixture
def no_pyplot(monkeypatch):
    """As in a script that has not imported it."""
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")


@pytest.fixture
def headless(tmp_path, monkeypatch):
    """A working folder of its own, without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    for key in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(key, raising=False)
    return tmp_path


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook was given to display."""
    python, shown = types.ModuleType("IPython"), []
    python.display = types.SimpleNamespace(display=shown.append, Image=lambda data: data)
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    return shown


def test_pyplot_knows_a_figure_where_a_script_has_imported_it():
    figure = visualize(MAP)
    assert pyplot.get_fignums() == [figure.number]
    assert pyplot.gcf() is figure
    pyplot.close(figure)
    assert pyplot.get_fignums() == []


def test_it_does_not_in_a_script_without(no_pyplot):
    figures = [visualize(MAP) for _ in range(30)]
    assert "matplotlib.pyplot" not in sys.modules
    assert all(figure.canvas.manager is None for figure in figures)
    assert pyplot.get_fignums() == []


def test_such_a_figure_becomes_one_of_pyplots_when_it_is_shown(no_pyplot, monkeypatch):
    figure, shown = visualize(MAP), []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    monkeypatch.setattr(FigureCanvasAgg.manager_class, "show", lambda manager: shown.append(manager.canvas.figure))
    figure.show()
    figure.show()
    assert shown == [figure, figure]
    assert pyplot.get_fignums() == [figure.number]


def test_a_backend_without_windows_says_so(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.warns(UserWarning, match="FigureCanvasAgg is non-interactive"):
        visualize(MAP).show()


@pytest.mark.parametrize("known", [True, False])
def test_without_a_display_a_figure_is_written_and_named(headless, caplog, known, monkeypatch):
    figure = visualize(MAP)
    if not known:
        monkeypatch.setattr(figure.canvas, "manager", None)
    figure.show()
    assert caplog.messages == [f"there is no display; the picture is written to {headless / 'explained.png'}"]
    with Image.open(headless / "explained.png") as written:
        assert written.width > 200


def test_a_backend_that_cannot_run_does_not_stop_a_figure(monkeypatch, tmp_path):
    def fails(**_):
        raise ImportError("Cannot load backend 'TkAgg'")

    monkeypatch.setattr(pyplot, "figure", fails)
    figure = visualize(MAP)
    figure.savefig(tmp_path / "map.png")
    with pytest.raises(ImportError, match="TkAgg"):
        figure.show()


def test_a_notebook_shows_a_figure_once(notebook, monkeypatch):
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "inline")
    for show in ("_ipython_display_", "show"):
        getattr(visualize(MAP), show)()
        assert pyplot.get_fignums() == []  # which inline backends show at the end of a cell
    assert [picture[:4] for picture in notebook] == [b"\x89PNG"] * 2


@pytest.fixture
def explained(linear, headless):
    """Explains an image and shows that."""
    explainer = Gradient(linear([[[[1, 2, 8], [3, 1, 0]]]]))
    return lambda: explainer(Tensor(np.ones((1, 1, 2, 3), np.float32)), 0, show=True)


def test_without_a_display_a_picture_is_written_and_named(explained, tmp_path, caplog):
    (tmp_path / "explained.png").write_text("mine")
    explained()
    written = tmp_path / "explained_2.png"
    assert caplog.messages == [f"there is no display; the picture is written to {written}"]
    with Image.open(written) as picture:
        assert picture.size == (3, 2)
    assert (tmp_path / "explained.png").read_text() == "mine"


@pytest.mark.parametrize("viewer", [True, False])
def test_with_a_display_a_viewer_shows_it(explained, tmp_path, monkeypatch, viewer):
    shown = []
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setattr(ImageShow, "show", lambda picture: shown.append(picture) or viewer)
    explained()
    assert (len(shown), (tmp_path / "explained.png").exists()) == (1, not viewer)


def test_a_picture_that_cannot_be_written_is_named(explained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match=r"there is no display, and .*explained.png cannot be written: No space left"):
        explained()
