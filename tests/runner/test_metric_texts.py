"""What the page says of metrics."""

import re

from explainrun.runner.report.metric_texts import TEXTS


def test_a_paper_is_named_in_one_way():
    by_title = {}
    for text in TEXTS.values():
        for source in text.source.split("; "):
            authors, _, title = re.sub(r"^(compare|after) ", "", source).partition(": ")
            by_title.setdefault(title, set()).add(authors)
    assert [authors for title, authors in by_title.items() if title and len(authors) > 1] == []
