"""The scores of a run, and tables of them."""

from __future__ import annotations

from .run_scores import RunScores
from .score_tables import agreement_table, label_table, ranking_table, table


class Scores(RunScores):
    """The scores of a run, their means and ranking, and tables of them."""

    def table(self, style: str = "simple") -> str:
        """Explainers by metrics: means with 95 % intervals, marked where a method does not beat its controls."""
        return table(self, style)

    def label_table(self, metric: str, style: str = "simple") -> str:
        """Labels by explainers in one metric: means with 95 % intervals, and how many questions each label has.

        Raises:
            ValueError: if the metric is none of the run's.
        """
        self.check_name("metric", metric, self.metrics)
        return label_table(self, metric, style)

    def ranking_table(self, style: str = "simple") -> str:
        """The explainers' places in each metric, with a letter for each group of ties."""
        return ranking_table(self, style)

    def agreement_table(self, style: str = "simple") -> str:
        """Metrics by metrics: Kendall's tau of their orders of the explainers, with 95 % intervals."""
        return agreement_table(self, style)
