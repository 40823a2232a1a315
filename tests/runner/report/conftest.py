"""Finished runs without a network, of 10 samples of 12 x 16 pixels."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from click.testing import CliRunner

from explainrun.runner.cli.main import main


@pytest.fixture(scope="session")
def made_up():
    place = Path(__file__).parents[2] / "report_page" / "made_up_run.py"
    spec = spec_from_file_location("made_up_run", place)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_run(made_up, tmp_path):
    def make(name="run", samples=10, size=(12, 16), **options):
        return made_up.make_run(tmp_path / name, samples, size, **options)

    return make


@pytest.fixture
def report():
    """Runs the command; gives exit code and what it printed, to standard output and error together."""

    def run(*arguments):
        done = CliRunner().invoke(main, ["report", *map(str, arguments)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


@pytest.fixture
def data_of():
    """What a page's data file holds, of a folder or of a single file."""

    def read(page, name):
        if page.is_dir():
            text = (page / "data" / f"{name}.js").read_text("utf-8")
            return json.loads(re.fullmatch(r'explainrunData\("[^"]+",(.*)\);\n', text, re.DOTALL)[1])
        found = re.search(
            rf'<script type="application/json" data-name="{name}">(.*?)</script>', page.read_text("utf-8")
        )
        return json.loads(found[1])

    return read
