"""Hooks of the site (mkdocs.yml): pages that are made of other files, and links to what is not on the site."""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "explainers": ("explainers/__init__.py", "Saliency methods, and what one of your own is made of."),
    "benchmarks": ("benchmarks/__init__.py", "Metrics, and what one of your own is made of."),
    "runner": ("runner/__init__.py", "Runs, comparisons and figures."),
    "runner.comparison": (
        "runner/comparison/__init__.py",
        "Two runs compared: rules, verdicts, baselines.",
    ),
    "summary_format": ("summary_format/__init__.py", "What a run writes, and reading it back."),
    "testing": ("runner/_root/testing/__init__.py", "Whether an explainer or a metric keeps to what all keep to."),
    "testing.planted": (
        "runner/_root/testing/planted.py",
        "Networks whose important pixels are known.",
    ),
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_REFERENCE = re.compile(r"^\[(\w+)\]: (\S+)$", re.M)


def public_names(package: str) -> list[str]:
    """The names that a package exports, as its ``__all__`` lists them."""
    for node in ast.parse((ROOT / PACKAGES[package][0]).read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError(f"explainrun.{package} has no __all__")


def reference_page(package: str) -> str:
    """The page of a package's public names."""
    entries = [f"::: explainrun.{package}.{name}" for name in sorted(public_names(package), key=str.lower)]
    return "\n\n".join([f"# explainrun.{package}", PACKAGES[package][1], *entries, ""])


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made of other files."""
    made = {
        "index.md": from_root((ROOT / "README.md").read_text("utf-8")),
        "changelog.md": from_root((ROOT / "CHANGELOG.md").read_text("utf-8")),
        **{f"reference/api/{package}.md": reference_page(package) for package in PACKAGES},
    }
    kind = type(next(iter(files)))  # mkdocs' File
    for path, content in made.items():
        files.append(kind.generated(config, path, content=content))
    return files


def from_root(markdown: str) -> str:
    """A page that lies beside the folder of documents, with its links as of one that lies in it."""
    markdown = _REFERENCE.sub(lambda found: f"[{found[1]}]: {_moved(found[2])}", markdown)
    return _LINK.sub(lambda found: f"{found[1]}[{found[2]}]({_moved(found[3])})", markdown)


def _moved(target: str) -> str:
    """Where a link of the repository's folder leads from that of the documents."""
    if re.match(r"\w+:|#", target):
        return target
    if target == "CHANGELOG.md":
        return "changelog.md"
    return target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write links to files that are not on the site as their names."""

    def linked(found: re.Match[str]) -> str:
        target = found[3].partition("#")[0]
        if not target or re.match(r"\w+:", target):
            return found[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target))
        if not place.startswith("../"):
            return found[0]
        if place == "../CHANGELOG.md":
            return f"[{found[2]}]({'../' * page.file.src_uri.count('/')}changelog.md)"
        if place == "../README.md":
            return f"[{found[2]}]({'../' * page.file.src_uri.count('/')}index.md)"
        name = place.removeprefix("../")
        return found[2] if name in found[2] else f"{found[2]} (`{name}`)"

    return _LINK.sub(linked, markdown)


def on_post_build(config: Any, **_: Any) -> None:
    """Write the search index as a script too, which the theme reads where the site is opened from a disk."""
    folder = Path(config.site_dir, "search")
    index = (folder / "search_index.json").read_text("utf-8")
    (folder / "search_index.js").write_text(f"var __index = {index}", "utf-8")
