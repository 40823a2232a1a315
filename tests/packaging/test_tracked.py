"""What git tracks is source: nothing that a build, a test or an install makes."""

import subprocess
from fnmatch import fnmatch

import pytest

MADE = ("build", "dist", "__pycache__", "*.egg-info", "*.pyc", "*.whl", "*.ir")


def made(path):
    """Whether a path, or a folder that it lies in, has the name of something made."""
    return any(fnmatch(part, name) for part in path.split("/") for name in MADE)


@pytest.fixture
def git(repository):
    """The lines that a git command gives; skips where the sources are not a checkout."""
    if not (repository / ".git").exists():
        pytest.skip("the sources are not a git checkout")

    def lines(*arguments, **options):
        command = ["git", "-C", repository, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        assert done.returncode in (0, 1), done.stderr  # 1 where check-ignore finds nothing
        return done.stdout.splitlines()

    return lines


def test_nothing_made_is_tracked(git):
    assert [path for path in git("ls-files") if made(path)] == []
    assert git("ls-files", "--cached", "--ignored", "--exclude-standard") == []


def test_what_is_made_is_ignored_in_any_folder(git):
    paths = ["build/x", "tests/packaging/third_party/build/lib/x.py", "a/b.egg-info/PKG-INFO", "explainers/dist/x"]
    assert (
        git("check-ignore", "--no-index", "--stdin", input="\n".join([*paths, "explainers/perturbation/rise.py"]))
        == paths
    )


@pytest.mark.parametrize(
    ("path", "is_made"),
    [
        ("tests/packaging/third_party/build/lib/third_party_maps.py", True),
        ("explainrun.egg-info/SOURCES.txt", True),
        ("runner/__pycache__/plan.cpython-311.pyc", True),
        ("scripts/build_docs.py", False),
        ("docs/building.md", False),
    ],
)
def test_what_counts_as_made(path, is_made):
    assert made(path) == is_made
