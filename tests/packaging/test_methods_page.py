"""The page and the picture of all methods leave none out."""

import yaml

from explainrun.explainers import EXPLAINERS

CONTROLS = {"RandomMap", "CenterGaussian", "SobelEdges", "ConstantMap"}
LEFT_OUT = {  # of the picture, as the page says
    "CAM", "RISEPlus", "AttentionRollout", "LeGrad", "AttentionRelevance", *CONTROLS
}  # fmt: skip


def test_the_table_of_families_has_every_method(repository):
    page = (repository / "docs" / "tutorials" / "which-explainer.md").read_text("utf-8")
    families = page.partition("## What each costs and assumes")[2].partition("## Rules of thumb")[0]
    assert [name for name in EXPLAINERS if f"`{name}`" not in families and name not in CONTROLS] == []


def test_the_picture_has_every_method_that_its_network_allows(repository):
    entries = yaml.safe_load((repository / "configs" / "methods.yaml").read_text("utf-8"))["explainers"]
    named = {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}
    assert set(EXPLAINERS) - named == LEFT_OUT
