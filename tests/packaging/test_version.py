"""The version stands in several files, and is the same in all."""

import configparser
import re

import pytest
import yaml


@pytest.fixture
def version(repository):
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", "utf-8")
    return setup["metadata"]["version"]


def test_the_citation_names_it(repository, version):
    assert yaml.safe_load((repository / "CITATION.cff").read_text("utf-8"))["version"] == version


def test_the_changelog_begins_with_it(repository, version):
    first = re.search(r"^## (.+)$", (repository / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert first[1] == version


def test_the_newest_release_notes_are_of_it(repository, version):
    newest = max((repository / "docs" / "releases").glob("*.md"), key=lambda path: numbers(path.stem))
    assert newest.stem == version
    assert newest.read_text("utf-8").startswith(f"# Explainrun {version}\n")


def numbers(version):
    return [int(number) for number in version.split(".")]


def test_manifests_name_images_of_it(repository, version):
    folder = repository / "scripts" / "cluster"
    named = [tag for path in folder.glob("*.yaml") for tag in re.findall(r"image: \S+:(\S+)", path.read_text("utf-8"))]
    assert len(named) > 3
    assert set(named) == {version}
