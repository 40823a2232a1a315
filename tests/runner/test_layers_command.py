"""The ``layers`` command on a network with attention, and on images that it does not take."""

from click.testing import CliRunner

from explainrun.explainers.network.attention.search import AttentionFinder
from explainrun.runner.cli.main import main

TRANSFORMER = "explainrun.explainers.contract.bundled:TinyTransformer"


def layers(shape):
    return CliRunner().invoke(main, ["layers", TRANSFORMER, "--input-shape", shape])


def test_attention_is_shown_by_its_grid_of_tokens():
    """A class token, then rows of tokens from top to bottom."""
    done = layers("3,12,16")
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.output.splitlines()]
    assert ["blocks.1.attention", "2", "13", "13:", "1", "+", "3x4", "blocks.1", "yes"] in rows
    assert ["blocks.0.mlp.0", "Dense", "13x8"] in rows


def test_images_that_the_network_does_not_take_are_bad_input():
    done = layers("1,12,16")
    assert done.exit_code == 2
    assert "(1, 12, 16)" in done.output


def test_the_table_is_shown_where_attention_cannot_be_looked_for(monkeypatch):
    def fail(self, images):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(AttentionFinder, "found", fail)
    done = layers("3,12,16")
    assert done.exit_code == 0, done.output
    assert ["head", "Dense", "4"] in [line.split() for line in done.output.splitlines()]
    assert "no kernel" in done.output
