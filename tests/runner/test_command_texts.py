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
