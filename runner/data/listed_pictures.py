"""Pictures that a CSV file lists, or that lie in a folder for each class."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...summary_format.errors import nearest
from ...summary_format.names import without_login
from ...summary_format.problem import Problem
from ...summary_format.untrusted.regular_files import open_regular
from .class_names import ClassFinder
from .pictures import Pixels, read_content, read_indices
from .rows import COLUMNS, Row, Rows

PADDING = -1
BOX_COLUMNS = ("x", "y", "width", "height")
PLACE_COLUMNS = {"bboxes": BOX_COLUMNS, "masks": ("mask",), "segmentation": ("segmentation",)}
# Of each column, how many axes it has and its type.
FORMS: Mapping[str, tuple[int, npt.DTypeLike]] = {
    "image": (3, np.float32),
    "labels": (1, np.int32),
    "bboxes": (2, np.float32),
    "masks": (3, np.bool_),
    "segmentation": (2, np.int64),
}


@dataclass(kw_only=True)
class Listed:
    """A picture with what is said of it.

    Attributes:
        path: the file.
        where: what names it first.
        labels: class indices.
        boxes: of each label x, y, width, height in pixels of the upright picture; none where boxes are not given.
        masks: of each label the file of its mask, None where there is none; none where masks are not given.
        segmentation: the file of its segmentation map, if it has one.
    """

    path: Path
    where: str
    labels: list[int] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    masks: list[Path | None] = field(default_factory=list)
    segmentation: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that it needs."""
        return [self.path, *(path for path in (*self.masks, self.segmentation) if path is not None)]


class PictureRows(Rows):
    """Rows of pictures.

    Args:
        listed: the pictures in order.
        columns: "image", and of "labels" and one of "bboxes", "masks" and "segmentation" those that there are.
        pixels: what the pictures become.
    """

    def __init__(self, listed: Sequence[Listed], columns: tuple[str, ...], pixels: Pixels) -> None:
        self._listed, self.columns, self._pixels = listed, columns, pixels
        self.forms = tuple(FORMS[column] for column in columns)

    def __len__(self) -> int:
        return len(self._listed)

    def row(self, index: int) -> Row:
        listed = self._listed[index]
        picture = read_content(listed.path, listed.path)
        image = self._pixels.of(picture)
        labels = np.array(listed.labels or [PADDING], np.int32)
        if len(self.columns) < len(COLUMNS):
            return (image, labels)[: len(self.columns)]
        return image, labels, self._places(listed, (picture.height, picture.width), image.shape[1:])

    def _places(self, listed: Listed, before: tuple[int, int], after: tuple[int, ...]) -> npt.NDArray[Any]:
        """Where the labels of a picture are, which was of a size (H, W) and is brought to another."""
        height, width = after
        if "bboxes" in self.columns:
            scales = np.array([width / before[1], height / before[0]] * 2, np.float32)
            return np.array(listed.boxes or [(0,) * 4], np.float32) * scales
        if "segmentation" in self.columns:
            nowhere = np.full((height, width), PADDING)
            return nowhere if listed.segmentation is None else _at_size(listed.segmentation, before, (height, width))
        masks = np.zeros((max(len(listed.masks), 1), height, width), bool)
        for mask, path in zip(masks, listed.masks, strict=False):
            if path is not None:
                mask[:] = _at_size(path, before, (height, width)) > 0
        return masks

    def where(self, index: int) -> str:
        return self._listed[index].where


def csv_rows(path: Path, class_names: Sequence[str], folder: Path, pixels: Pixels) -> PictureRows:
    """The pictures that a CSV lists.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a CSV of pictures, saying which line is wrong.
    """
    header, lines = _parsed(path)
    places = _places_given(path, header)
    classes = ClassFinder(class_names)
    found: dict[Path, Listed] = {}
    for number, line in lines:
        where = f"{path} line {number}"
        row = _cells(header, line, where)
        if not row["image"]:
            raise ValueError(Problem.of("csv-no-picture", "{where}: the column image is empty", where=where))
        picture = folder / row["image"]
        listed = found.setdefault(picture, Listed(path=picture, where=where))
        if row.get("label"):
            listed.labels.append(_label(classes, row["label"], where))
            _add_place(listed, places, row, folder, where)
    if not found:
        raise ValueError(
            Problem.of("csv-empty", "{path} lists no pictures: it has no line after its header", path=path)
        )
    needed = dict.fromkeys(file for picture in found.values() for file in picture.files)
    missing = [str(file) for file in needed if not file.is_file()]
    if missing:
        first = without_login(missing[0])  # somebody may list addresses
        raise ValueError(f"{len(missing)} of {len(needed)} pictures are missing, the first is {first}")
    columns = (*COLUMNS[: 1 + ("label" in header)], *([places] if places else []))
    return PictureRows(list(found.values()), columns, pixels)


def folder_rows(path: Path, class_names: Sequence[str], pixels: Pixels) -> PictureRows:
    """The pictures that lie in a folder for each class, by class and then by name.

    Files that do not end as pictures do, and hidden ones, are none of them.

    Raises:
        ValueError: if it is not a folder, one in it is not called as a class, or there are no pictures.
    """
    if not path.is_dir():
        raise ValueError(Problem.of("image-folder-none", "there is no folder {path}", path=path))
    Image.init()
    classes, found = ClassFinder(class_names), list[tuple[int, Path]]()
    for folder in sorted(one for one in path.iterdir() if one.is_dir() and not one.name.startswith(".")):
        label = _label(classes, folder.name, f"the folder {folder}")
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in Image.EXTENSION and file.is_file())
        found += [(label, file) for file in files if not file.name.startswith(".")]
    if not found:
        words = "{path} holds no pictures in folders that are called as classes are"
        raise ValueError(Problem.of("image-folder-empty", words, path=path))
    found.sort(key=lambda entry: entry[0])  # which keeps the names' order
    listed = [Listed(path=file, where=str(path), labels=[label]) for label, file in found]
    return PictureRows(listed, COLUMNS[:2], pixels)


def _parsed(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header of a CSV, and its other lines that are not blank with their numbers.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not text.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        # A quoted cell may hold several lines; a line is called by the number of its last one, as editors count.
        lines = [(reader.line_num, line) for line in reader if line]
    except csv.Error as error:
        words = "{path} line {number} is not CSV: {said}"
        raise ValueError(
            Problem.of("csv-malformed", words, path=path, number=reader.line_num, said=str(error))
        ) from None
    return header, iter(lines)


def _text(path: Path) -> str:
    """What a file says in UTF-8, or in UTF-16 where it begins with a mark of that, as spreadsheets write them."""
    with open_regular(path) as file:
        content = file.read()
    coding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(coding)
    except UnicodeDecodeError as error:
        words = "{path} is not text in UTF-8 (byte {place}); save it as CSV UTF-8"
        raise ValueError(Problem.of("csv-not-utf8", words, path=path, place=error.start)) from None
    if "\0" in text:
        words = "{path} holds NUL characters, as UTF-16 without a mark at its start does; save it as CSV UTF-8"
        raise ValueError(Problem.of("csv-nul", words, path=path))
    return text


def _places_given(path: Path, given: Sequence[str]) -> str:
    """How a CSV with these columns says where labels are: one of ``PLACE_COLUMNS``; empty where it does not."""
    every = [name for names in PLACE_COLUMNS.values() for name in names]
    known = ("image", "label", *every)
    problems = [f"unknown column {name!r}; {nearest(name, known)}" for name in given if name not in known]
    problems += [f"the column {name!r} stands twice" for name in known if given.count(name) > 1]
    kinds = [kind for kind, names in PLACE_COLUMNS.items() if set(names) & set(given)]
    if "image" not in given:
        problems.append("no column 'image'")
    if len(kinds) > 1:
        problems.append(f"columns of {' and '.join(kinds)}; give one of them")
    for kind in kinds:
        if not {"label", *PLACE_COLUMNS[kind]} <= set(given):
            called = {"bboxes": "boxes", "masks": "masks", "segmentation": "segmentation maps"}[kind]
            problems.append(f"{called} need the columns label, {', '.join(PLACE_COLUMNS[kind])}")
    if problems:
        raise ValueError(f"{path}: {'; '.join(problems)}")
    return kinds[0] if kinds else ""


def _add_place(listed: Listed, places: str, row: Mapping[str, str], folder: Path, where: str) -> None:
    """Note where the label of a line is."""
    if places == "bboxes":
        listed.boxes.append(_box(row, where))
    elif places == "masks":
        listed.masks.append(folder / row["mask"] if row["mask"] else None)
    elif places and row["segmentation"]:
        if listed.segmentation not in (None, folder / row["segmentation"]):
            words = "{where}: the picture has another segmentation map, {given}, than in a line before"
            raise ValueError(Problem.of("csv-segmentations", words, where=where, given=row["segmentation"]))
        listed.segmentation = folder / row["segmentation"]


def _at_size(path: Path, before: tuple[int, int], after: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The numbers of a mask or segmentation map, brought to the size that its picture is brought to; none is mixed."""
    indices = read_indices(path)
    if indices.shape != before:
        words = "{path} is {given}, its picture {wanted} (height, width)"
        raise ValueError(Problem.of("mask-size", words, path=path, given=indices.shape, wanted=before))
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for old, new in zip(before, after, strict=True)
    )
    found: npt.NDArray[np.int64] = indices[rows[:, None], columns]
    return found


def _cells(header: Sequence[str], line: Sequence[str], where: str) -> dict[str, str]:
    """The cells of a line by column; missing ones are empty, as blank ones after the last column are."""
    if len(line) > len(header) and any(line[len(header) :]):
        words = "{where} has {cells:plural cell}, the header {columns}; put what holds a comma into quotes"
        raise ValueError(Problem.of("csv-cells", words, where=where, cells=len(line), columns=len(header)))
    return dict(zip_longest(header, line[: len(header)], fillvalue=""))


def _label(classes: ClassFinder, text: str, where: str) -> int:
    try:
        return classes.index(text)
    except ValueError as error:
        problem = Problem.from_error(error)
        if problem.code == "class-ambiguous":
            raise ValueError(problem.at(where)) from None
        words = "{where}: label {label!r} is neither a class name nor an index below {classes}; {nearest}"
        values = {"label": text, "classes": len(classes.names), "nearest": nearest(text, classes.names)}
        raise ValueError(Problem.of("csv-label-unknown", words, where=where, **values)) from None


def _box(row: Mapping[str, str], where: str) -> tuple[float, ...]:
    try:
        return tuple(float(row[name]) for name in BOX_COLUMNS)
    except ValueError:
        raise ValueError(f"{where}: a box needs four numbers, got {[row[name] for name in BOX_COLUMNS]}") from None
