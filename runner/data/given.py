"""What a script may give as its data, as what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor

from ...summary_format.problem import Problem
from .array_files import GivenArrays, place_name
from .direct import Data, DirectData, LoaderData, is_loader, plain_array
from .rows import COLUMNS


def checked_data(data: Any) -> Data:
    """A dataset, or what can be read as one.

    Args:
        data: a MindSpore dataset, a DataLoader of MindSpore, or arrays (images, labels, places), of which the last
            one or two may be missing, with one entry a sample each; images as the network takes them, places as
            ``place_name`` says.

    Raises:
        TypeError: if it is something else.
        ValueError: if a DataLoader shuffles, or arrays differ in length or do not hold numbers.
    """
    if isinstance(data, (ds.Dataset, DirectData)):
        return data
    if is_loader(data):
        return LoaderData(data)
    parts = list(data) if isinstance(data, (tuple, list)) else [data]
    if 1 <= len(parts) <= len(COLUMNS) and isinstance(parts[0], (np.ndarray, Tensor)):
        given = [plain_array(part) for part in parts]
        names = ("images", "labels", *([place_name(*given)] if len(given) == len(COLUMNS) else []))
        arrays = dict(zip(names, given, strict=False))
        return GivenArrays(Path("data[0]"), arrays).dataset()
    words = "data[0] must be a mindspore.dataset.Dataset, a DataLoader, or arrays (images, labels), got {kind}"
    raise TypeError(Problem.of("data-kind", words, kind=type(data).__name__))
