"""CSV files as spreadsheets write them, and what is wrong with others before anything runs."""

import re

import pytest
from PIL import Image

from explainrun.runner.data.file_datasets import csv_dataset
from explainrun.runner.data.samples import read_samples

NAMES = ["cat", "caf\xe9", "No\u0308el", "\xb2"]


@pytest.fixture
def listed(tmp_path):
    for name in ("a.png", "b.png", "c,d.png"):
        Image.new("L", (3, 2)).save(tmp_path / name)

    def read(content, names=NAMES):
        (tmp_path / "list.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return [
            sample.truth for sample in read_samples(csv_dataset(tmp_path / "list.csv", names, channels=1), len(names))
        ]

    return read


TEXT = "image,label\na.png,caf\xe9\nb.png,cat\n"


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_unicode_of_spreadsheets(listed, coding, end):
    mark = "\ufeff" if coding in ("utf-16-le", "utf-16-be") else ""
    assert listed((mark + TEXT.replace("\n", end)).encode(coding)) == [(1,), (0,)]


@pytest.mark.parametrize(
    ("said", "label"),
    [("caf\xe9", 1), ("cafe\u0301", 1), ("No\u0308el", 2), ("N\xf6el", 2), ("\xb2", 3), ("2", 2), ("0", 0), ("02", 2)],
)
def test_a_label_is_the_same_however_its_accents_are_written(listed, said, label):
    assert listed(f"image,label\na.png,{said}\n") == [(label,)]


def test_two_classes_that_only_composition_distinguishes_are_two(listed):
    assert listed("image,label\na.png,\xe9\nb.png,e\u0301\n", ["e\u0301", "\xe9"]) == [(1,), (0,)]


def test_blank_lines_quotes_and_empty_cells_after_the_last_column_are_taken(listed):
    assert listed('image,label\n\n"c,d.png",cat,,\n\na.png\n') == [(0,), ()]


@pytest.mark.parametrize("label", ["\xb9", "\u0662", "\u2461", "4", "-1", "1.0", "9" * 5000])
def test_what_is_no_class_is_refused(listed, raising, label):
    """Superscripts and digits of other scripts are digits to Python, not all of which it reads as numbers."""
    with raising(ValueError, "csv-label-unknown", label=label, classes=4, where=re.compile("list.csv line 2$")):
        listed(f"image,label\na.png,{label}\n")


@pytest.mark.parametrize(
    ("content", "code", "values"),
    [
        ("image,label\n", "csv-empty", {}),
        ("image,label", "csv-empty", {}),
        (
            "image,label\na.png,cat\nb.png,cat,x\n",
            "csv-cells",
            {"cells": 3, "columns": 2, "where": re.compile("line 3$")},
        ),
        ("image,label\na.png,cat\n,cat\n", "csv-no-picture", {"where": re.compile("line 3$")}),
        ('image,label\na.png,"cat\nb.png,cat\n', "csv-malformed", {"number": 3}),
        ("image,label\na.png,caf\xe9\n".encode("latin-1"), "csv-not-utf8", {"place": 21}),
        ("image,label\na.png,cafe\n".encode("utf-16-le"), "csv-nul", {}),
    ],
)
def test_what_is_wrong_is_said_with_its_line(listed, raising, content, code, values):
    with raising(ValueError, code, **values):
        listed(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image,image\na.png,b.png\n", "the column 'image' stands twice"),
        ("image,label,label\na.png,cat,cat\n", "the column 'label' stands twice"),
        ("image,label,x,y,width,height,x\na.png,cat,1,1,1,1,1\n", "the column 'x' stands twice"),
        ("", "no column 'image'"),
        ("image, label\na.png,cat\n", "unknown column ' label'; did you mean 'label'?"),
    ],
)
def test_headers(listed, content, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        listed(content)
