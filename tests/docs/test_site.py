"""The site's pages that are made of other files, and what is checked of it once it is built."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

import explainrun.summary_format


def script(repository, name):
    spec = importlib.util.spec_from_file_location(name, repository / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hooks(repository):
    return script(repository, "site_hooks")


@pytest.fixture
def checking(repository):
    return script(repository, "check_site")


def entries(hooks, package):
    return re.findall(rf"^::: explainrun\.{re.escape(package)}\.(\w+)$", hooks.reference_page(package), re.M)


PACKAGES = (
    "benchmarks", "explainers", "runner", "runner.comparison", "summary_format", "testing", "testing.planted",
)  # fmt: skip


def test_every_package_of_public_names_has_a_page(hooks):
    assert sorted(hooks.PACKAGES) == list(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_entry(hooks, package):
    names = importlib.import_module(f"explainrun.{package}").__all__
    assert sorted(entries(hooks, package)) == sorted(names)


def test_names_at_the_top_have_an_entry_where_they_come_from(hooks):
    listed = [getattr(explainrun.summary_format, name) for name in entries(hooks, "summary_format")]
    assert all(any(getattr(explainrun, name) is one for one in listed) for name in explainrun.__all__)


def imports(source):
    """The modules of Explainrun that Python source imports names from, and the names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "explainrun":
            yield from ((node.module, one.name) for one in node.names)


# Parts of the bundled example, and what makes a run of a config, in scripts to start from.
WITHOUT_ENTRY = ("explainrun.configs", "explainrun.runner.config")


def test_what_documents_and_scripts_import_has_an_entry(hooks, repository):
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").rglob("*.md")]
    blocks = [
        code for page in pages for code in re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    ]
    scripts = [path.read_text("utf-8") for path in (repository / "scripts" / "examples").glob("*.py")]
    used = {found for source in [*blocks, *scripts] for found in imports(source)}
    assert len(used) > 40
    known = {(f"explainrun.{package}", name) for package in PACKAGES for name in entries(hooks, package)}
    known |= {("explainrun", name) for name in explainrun.__all__}
    assert [found for found in sorted(used - known) if not found[0].startswith(WITHOUT_ENTRY)] == []


def test_every_page_is_in_the_navigation(repository, hooks):
    content = yaml.safe_load((repository / "mkdocs.yml").read_text("utf-8"))

    def listed(entries):
        for entry in entries:
            yield from [entry] if isinstance(entry, str) else listed(next(iter(entry.values())))

    made = {"index.md", "changelog.md", *(f"reference/api/{package}.md" for package in hooks.PACKAGES)}
    docs = repository / "docs"
    assert set(listed(content["nav"])) == made | {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        ("[a](docs/gate.md#x)", "[a](gate.md#x)"),
        ("![a](docs/report.png)", "![a](report.png)"),
        ("[a](CHANGELOG.md)", "[a](changelog.md)"),
        ("[a](scripts/ci)", "[a](../scripts/ci)"),
        ("[a](https://example.org/docs/)", "[a](https://example.org/docs/)"),
        ("[a](#below)", "[a](#below)"),
        ("[e]: docs/gate.md\n", "[e]: gate.md\n"),
    ],
)
def test_pages_from_the_root_keep_their_links(hooks, link, moved):
    assert hooks.from_root(link) == moved


@pytest.mark.parametrize(
    ("source", "link", "written"),
    [
        ("gate.md", "[scripts/ci](../scripts/ci)", "scripts/ci"),
        ("how-to/a.md", "[a config](../../configs/full.yaml)", "a config (`configs/full.yaml`)"),
        ("how-to/a.md", "[b](../gate.md)", "[b](../gate.md)"),
        ("releases/a.md", "[changes](../../CHANGELOG.md)", "[changes](../changelog.md)"),
        ("a.md", "[x](https://example.org)", "[x](https://example.org)"),
        ("a.md", "[x](#y)", "[x](#y)"),
    ],
)
def test_links_to_what_is_not_on_the_site_are_names(hooks, source, link, written):
    page = SimpleNamespace(file=SimpleNamespace(src_uri=source))
    assert hooks.on_page_markdown(link, page) == written


def test_a_site_that_is_opened_from_a_disk_has_its_search_index_as_a_script(hooks, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search_index.json").write_text('{"docs": []}')
    hooks.on_post_build(SimpleNamespace(site_dir=str(tmp_path)))
    assert (tmp_path / "search" / "search_index.js").read_text() == 'var __index = {"docs": []}'


SOUND = '<a href="b.html#there">x</a><a href="https://example.org/">x</a><a href="#own">x</a><p id="own"></p>'


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        (SOUND, []),
        ('<script src="https://example.org/x.js"></script>', ["a.html: fetches https://example.org/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example.org/x">', ["a.html: fetches //fonts.example.org/x"]),
        ('<img src="https://example.org/x.png">', ["a.html: fetches https://example.org/x.png"]),
        ('<a href="b.html#nowhere">x</a>', ["a.html: b.html#nowhere leads nowhere"]),
        ('<a href="c.html">x</a>', ["a.html: c.html leads nowhere"]),
        ('<a href="#nowhere">x</a>', ["a.html: #nowhere leads nowhere"]),
    ],
)
def test_a_built_site_is_checked(checking, tmp_path, page, wrong):
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1>')
    found, addresses = checking.problems(tmp_path)
    assert found == wrong
    assert addresses == (["https://example.org/"] if page == SOUND else [])


def test_styles_fetch_nothing_either(checking, tmp_path, repository):
    (tmp_path / "x.css").write_text("@import 'https://fonts.example.org/x.css'; a {background: url(x.png)}")
    assert checking.problems(tmp_path)[0] == ["x.css: fetches https://fonts.example.org/x.css"]
    command = [sys.executable, repository / "scripts" / "check_site.py", tmp_path]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
