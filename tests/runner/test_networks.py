"""Networks that a config or a command names."""

import re
import sys
import types

import mindspore as ms
import pytest
from mindspore import nn

from explainrun.runner.config.factories import load_network, make

SOURCE = """
from mindspore import nn

class Small(nn.Cell):
    def __init__(self, classes=2):
        super().__init__()
        self.flat, self.head = nn.Flatten(), nn.Dense(8, classes)

    def construct(self, x):
        return self.head(self.flat(x))

def text():
    return "no network"
"""


@pytest.fixture
def source(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "small.py").write_text(SOURCE)
    return tmp_path


def test_from_a_module_and_from_a_file_with_a_checkpoint(source):
    assert type(load_network("explainrun.configs.digit_network:DigitNetwork", num_classes=3)).__name__ == "DigitNetwork"
    network = load_network("nets/small.py:Small", folder=source, classes=5)
    network.head.weight.set_data(ms.ops.ones((5, 8)) * 3)
    ms.save_checkpoint(network, str(source / "small.ckpt"))
    again = load_network("nets/small.py:Small", "small.ckpt", source, classes=5)
    assert again.head.weight.asnumpy().min() == 3


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (
            "small",
            ValueError,
            "'small' is not of the form 'package.module:factory', 'path/to/file.py:factory' or 'mindcv:NAME'",
        ),
        ("nets/small.py:Smal", ValueError, "nets/small.py has no factory 'Smal'; did you mean 'Small'"),
        ("nets/none.py:Small", FileNotFoundError, "no file"),
        ("no_such_package.nets:Small", ImportError, "No module named 'no_such_package'"),
        ("nets/small.py:text", TypeError, "nets/small.py:text must make a mindspore.nn.Cell, it made a str"),
    ],
)
def test_what_cannot_be_made(source, spec, error, words):
    with pytest.raises(error) as caught:
        load_network(spec, folder=source)
    assert words in str(caught.value)


def test_mindcv_names(monkeypatch, raising):
    monkeypatch.setitem(sys.modules, "mindcv", None)
    monkeypatch.setitem(sys.modules, "mindcv.models", None)
    with raising(ImportError, "mindcv-missing"):
        make("mindcv:resnet50")
    models = types.ModuleType("mindcv.models")
    models.list_models = lambda: ["resnet18", "resnet50"]
    models.create_model = lambda name, **options: nn.Dense(options["num_classes"], 1)
    monkeypatch.setitem(sys.modules, "mindcv", types.ModuleType("mindcv"))
    monkeypatch.setitem(sys.modules, "mindcv.models", models)
    assert load_network("mindcv:resnet50", num_classes=7).in_channels == 7
    with raising(ValueError, "model-unknown", name="resnet5", nearest=re.compile("'resnet50'")):
        make("mindcv:resnet5")
