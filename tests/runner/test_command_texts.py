"""What commands print, whole, as ``scripts/test --snapshot-update`` last wrote it down."""

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main


@pytest.fixture(autouse=True)
def width(monkeypatch):
    """Of what is printed, whatever terminal the tests have."""
    monkeypatch.setenv("COLUMNS", "100")


def printed(*arguments):
    done = CliRunner().invoke(main, arguments, prog_name="explainrun", terminal_width=100)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("command", ["", *main.commands])
def test_help(snapshot, command):
    assert printed(*command.split(), "--help") == snapshot


def test_list(snapshot):
    assert printed("list") == snapshot


def test_layers(snapshot):
    factory = "explainrun.configs.digit_network:DigitNetwork"
    assert printed("layers", factory, "--input-shape", "3,56,40") == snapshot


CHANNELS_ATTEND = """
from mindspore import nn, ops


class Network(nn.Cell):
    def __init__(self):
        super().__init__()
        self.patches, self.project, self.head = nn.Conv2d(3, 6, 4, stride=4), nn.Dense(6, 18), nn.Dense(6, 2)

    def construct(self, x):
        x = self.patches(x).reshape(x.shape[0], 6, -1).swapaxes(1, 2)
        q, k, v = self.project(x).reshape(x.shape[0], -1, 3, 6).transpose(2, 0, 3, 1)
        x = (ops.softmax(q @ k.swapaxes(1, 2), -1) @ v).swapaxes(1, 2)
        return self.head(x.mean(1))
"""


def test_layers_that_attend(snapshot, tmp_path):
    assert printed("layers", "explainrun.testing:TinyTransformer", "--input-shape", "3,12,16") == snapshot
    place = tmp_path / "network.py"
    place.write_text(CHANNELS_ATTEND)
    assert printed("layers", f"{place}:Network", "--input-shape", "3,12,16") == snapshot
