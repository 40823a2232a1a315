"""The page's HTML: its security policy, its scripts and styles, as files beside it or inside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import jinja2

ASSETS = Path(__file__).parent / "page"
GENERATOR = "Explainrun report"
# In this order: what a script takes from another must be there.
SCRIPTS = (
    "vendor/preact.umd.js",
    "vendor/hooks.umd.js",
    "vendor/htm.umd.js",
    "js/data.js",
    "js/colours.js",
    "js/model.js",
    "js/selection.js",
    "js/state.js",
    "js/maps.js",
    "js/parts.js",
    "js/long_list.js",
    "js/controls.js",
    "js/samples.js",
    "js/python_format.js",
    "js/distribution.js",
    "js/sample_maps.js",
    "js/nearest_samples.js",
    "js/sample.js",
    "js/score_numbers.js",
    "js/score_parts.js",
    "js/score_table.js",
    "js/score_panels.js",
    "js/label_scores.js",
    "js/mean_curves.js",
    "js/agreement.js",
    "js/scores.js",
    "js/covered_pictures.js",
    "js/occlusion_steps.js",
    "js/occlusion.js",
    "js/run_tables.js",
    "js/run.js",
    "js/comparison.js",
    "js/comparison_pair.js",
    "js/print.js",
    "js/rows.js",
    "js/keys.js",
    "js/help.js",
    "js/app.js",
)
STYLES = (
    "css/page.css",
    "css/views.css",
    "css/sample.css",
    "css/nearest_samples.css",
    "css/print.css",
    "css/scores.css",
    "css/occlusion.css",
    "css/run.css",
    "css/comparison.css",
)
LICENCES = ("vendor/LICENSES.txt",)


def asset(name: str) -> str:
    """The text of a file of the page."""
    return (ASSETS / name).read_text("utf-8")


def folder_page(title: str) -> str:
    """The HTML of a page whose scripts and styles are files beside it."""
    return _rendered(title=title, inside={}, scripts="'self'", styles="'self'")


def single_page(title: str, data_here: str) -> str:
    """The HTML of a page that holds its scripts and styles.

    Args:
        title: of the page.
        data_here: a line that stands where the data belong, and is to be replaced by them.
    """
    inside = {name: asset(name) for name in (*SCRIPTS, *STYLES)}
    return _rendered(
        title=title,
        inside=inside,
        scripts=" ".join(_hash(inside[name]) for name in SCRIPTS),
        styles=" ".join(_hash(inside[name]) for name in STYLES),
        data_here=data_here,
    )


def _rendered(*, title: str, inside: Mapping[str, str], scripts: str, styles: str, data_here: str = "") -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("index.html.j2").render(
        title=title,
        generator=GENERATOR,
        policy=f"default-src 'none'; script-src {scripts}; style-src {styles}; base-uri 'none'; form-action 'none'",
        script_names=SCRIPTS,
        style_names=STYLES,
        inside=inside,
        data_here=data_here,
    )


def _hash(text: str) -> str:
    """What a security policy says of a script or style that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
