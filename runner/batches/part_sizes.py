"""Cutting what takes many passes into parts of a batch's samples, each committed by itself.

A kill then costs a part at most, and the batch, which cheap work fills its passes with, need not be smaller for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from mindspore import nn

from ...benchmarks import Covering, Metric
from ...benchmarks.core.covered_images import passing_images
from ...benchmarks.core.perturbations import ImageOfView
from ...explainers import Explainer, HierarchicalOcclusion, View
from ...explainers.network import pass_kind

PASSES_A_COMMIT = 256  # what a part takes at most, where it has more than one sample
Range = tuple[int, int]  # the row of a part's first sample in its batch, and the row after its last
Images = Counter[str]  # by kind of pass


class ChangedImages(NamedTuple):
    """How many images metrics ask about for one sample.

    Attributes:
        of_question: of each question, beside the untouched image and those that are covered throughout.
        copies: of the image itself, whatever its maps.
    """

    of_question: int
    copies: int


def cut(images: Sequence[Mapping[str, int]], pass_size: int, least: int = 1) -> list[Range]:
    """Parts of samples that take ``PASSES_A_COMMIT`` passes at most, and fill them as well as they can.

    Each is at least half as large as it may be, and within that the one whose passes lack the fewest images.

    Args:
        images: that each sample of a batch needs, by kind of pass.
        pass_size: images per pass.
        least: samples that a part has at least, whatever they take.
    """
    parts, first = list[Range](), 0
    while first < len(images):
        last = _end(images, first, pass_size, least)
        parts.append((first, last))
        first = last
    return parts or [(0, 0)]


def _end(images: Sequence[Mapping[str, int]], first: int, pass_size: int, least: int) -> int:
    """Where the part that begins with a sample ends."""
    most, total, fitting = PASSES_A_COMMIT * pass_size, Images(), list[tuple[int, int, int]]()
    for last in range(first + 1, len(images) + 1):
        total.update(images[last - 1])
        if total.total() > most and last - first > least:
            break
        lacking = sum(-count % pass_size for count in total.values())
        fitting.append((last, total.total(), lacking))
    else:
        return len(images)
    large = [one for one in fitting if one[1] >= most // 2] or fitting[-1:]
    return min(large, key=lambda one: (one[2], -one[0]))[0]


def sharing(explainer: Explainer, explainers: Sequence[Explainer]) -> list[Explainer]:
    """The explainers that share passes with one of them, itself among them, in their order."""
    if not explainer.needs.passes:
        return [explainer]
    return [other for other in explainers if other.needs.passes]


def least_samples(explainers: Iterable[Explainer], pass_size: int) -> int:
    """How many samples parts have at least: a pass of them where paths through many passes go side by side."""
    return pass_size if any(explainer.passes_in_turn > 1 for explainer in explainers) else 1


def images_of_maps(explainers: Iterable[Explainer], view: View, *, looking: bool = True) -> list[Images]:
    """How many images the maps of some explainers take, for each image of a view and by kind of pass.

    As far as that is known before they are made; of those alone that make passes of their own. The passes that several
    read are among them, where one of those is.

    Args:
        explainers: whose.
        view: the questions.
        looking: whether layers may be looked at for it, which takes a pass.
    """
    explainers = list(explainers)
    questions = np.bincount(view.rows, minlength=len(view.images))
    found = [Images() for _ in questions]
    if not len(view.rows):
        return found
    own = [_own_images(explainer, view, questions, looking=looking) for explainer in explainers]
    if not any(total for of_explainer in own for total in of_explainer):
        return found
    passes = {one for explainer in explainers for one in explainer.needs.passes}
    for row, asked in enumerate(questions.tolist()):
        for of_explainer in own:
            found[row].update(of_explainer[row])
        for _, rule in passes if asked else ():
            found[row].update({pass_kind(rule): asked})
    return found


def images_of_scores(
    metrics: Iterable[Metric],
    network: nn.Cell,
    changed: Sequence[ChangedImages],
    of_maps: Sequence[Images],
    questions: Sequence[int],
) -> list[Images]:
    """How many images the scores of an explainer take, for each sample of a batch.

    Args:
        metrics: all of them.
        network: whose maps they score.
        changed: images that metrics ask about, for each sample.
        of_maps: what the maps take that are made again, for each sample.
        questions: asked about each sample.
    """
    again = recomputations(metrics, network)
    return [
        Images({"perturb": own.of_question * asked + (own.copies if asked else 0)})
        + Images({kind: again * count for kind, count in images.items()})
        for own, images, asked in zip(changed, of_maps, questions, strict=True)
    ]


def recomputations(metrics: Iterable[Metric], network: nn.Cell) -> int:
    """How often metrics have every map made again, together: once for those that look at the same maps."""
    found: dict[object, int] = {}
    for place, metric in enumerate(metrics):
        shared = metric.recomputed_together
        key = (place,) if shared is None else shared
        found[key] = max(found.get(key, 0), metric.recomputations_on(network))
    return sum(found.values())


def changed_images(coverings: Sequence[Covering], image: ImageOfView) -> ChangedImages:
    """The images that metrics ask about for one sample."""
    perturbations = {one for covering in coverings for one in covering.perturbations}
    return ChangedImages(
        passing_images(coverings, image.number), sum(perturbation.number(image) for perturbation in perturbations)
    )


def images_of_search(search: HierarchicalOcclusion, shape: tuple[int, ...], questions: Sequence[int]) -> list[Images]:
    """How many images hierarchical occlusion takes for each sample, about: more where much has to be revealed."""
    first, others = search.images_of_layers(shape)
    return [Images({"search": first + asked * others} if asked else {}) for asked in questions]


def _own_images(
    explainer: Explainer, view: View, questions: np.ndarray[tuple[int], np.dtype[np.int_]], *, looking: bool
) -> list[Images]:
    """How many images an explainer itself runs, for each image of a view."""
    shape = view.images.shape[1:]
    try:
        by_questions = {int(n): Images(explainer.images_needed(1, int(n), shape)) for n in np.unique(questions) if n}
        if looking and explainer.needs.outputs and not any(by_questions.values()):  # which depends on what layers give
            each = _shares(explainer.images_needed_for(view), int(np.count_nonzero(questions)))
            by_questions = dict.fromkeys(by_questions, each)
    except ValueError:  # it refuses, which is raised when it is asked
        by_questions = {}
    return [by_questions.get(int(n), Images()) for n in questions]


def _shares(images: Mapping[str, int], asked: int) -> Images:
    return Images({kind: -(-count // max(asked, 1)) for kind, count in images.items()})
