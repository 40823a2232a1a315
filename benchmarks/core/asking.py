"""What the network is asked about the maps of an explainer: each changed image once, all of them in full passes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...explainers.core.view import View
from ...explainers.network import gathered
from ...explainers.network.tensors import Activation, FloatArray, IntArray
from .answers import OF_LOGITS
from .covered_images import BlendedImage, Covering, GroupsCovered
from .map_of_question import Asked, MapOfQuestion, sorted_by
from .perturbations import ImageOfView, Perturbation
from .removal import Removal

Whole = tuple[Removal, int]  # an image that is removed throughout: how, and of which row


class Wanted(NamedTuple):
    """What has to pass before some coverings are answered.

    Attributes:
        of_questions: by question whose map has an order, its changed images.
        whole: images of the view that are removed throughout.
        uniform: values of images that hold nothing else, asked once for a network.
        perturbed: by row and perturbation, the activations (by ``id``) for which its copies were not asked about yet.
    """

    of_questions: Mapping[int, Sequence[Asked]]
    whole: Sequence[Whole]
    uniform: set[float]
    perturbed: Mapping[tuple[int, Perturbation], Collection[int]]


class Asking:
    """Asks the network about the maps of a view's questions, and remembers what it said.

    Args:
        view: the questions.
        maps: by question whose map has an order, that map.
        memory: where that is kept which other explainers of the same batch need as well.
    """

    def __init__(self, view: View, maps: Mapping[int, MapOfQuestion], memory: dict[Any, Any]) -> None:
        self._view, self._maps, self._memory = view, maps, memory
        self._found: dict[tuple[int, int], dict[Asked, float]] = {}  # by activation and question

    def wanted(self, coverings: Sequence[Covering]) -> Wanted:
        """What has to pass before these are answered."""
        by_question = {question: self._wanted_of(question, coverings) for question in self._maps}
        passing = {question: self._passing(question, images) for question, images in by_question.items()}
        throughout = {
            (image.removal, int(self._view.rows[question]))
            for question, images in by_question.items()
            for image in images
            if isinstance(image, GroupsCovered) and self._throughout(question, image)
        }
        whole = [one for one in throughout if isinstance(one[0], str) and self._whole_key(one) not in self._memory]
        uniform = {removal for removal, _ in throughout if not isinstance(removal, str)}
        perturbed: dict[tuple[int, Perturbation], set[int]] = {}
        for covering in coverings:
            for row, perturbation in self._lacking(covering):
                perturbed.setdefault((row, perturbation), set()).add(id(covering.activation_fn))
        return Wanted(passing, sorted(whole, key=str), uniform, perturbed)

    def images_needed(self, coverings: Sequence[Covering]) -> tuple[int, set[float]]:
        """How many images have to pass before these are answered, and which uniform ones beside, once for a network."""
        wanted = self.wanted(coverings)
        copies = sum(perturbation.number(self._image(row)) for row, perturbation in wanted.perturbed)
        return sum(map(len, wanted.of_questions.values())) + len(wanted.whole) + copies, wanted.uniform

    def ask(self, coverings: Sequence[Covering]) -> None:
        """Have the network say everything about some coverings."""
        wanted = self.wanted(coverings)
        activations = {id(covering.activation_fn): covering.activation_fn for covering in coverings}
        for key in activations:
            for question in self._maps:
                self._found.setdefault((key, question), {})
        self._ask_passing(wanted, activations)
        self._note_known(coverings, activations)
        self._ask_perturbed(wanted.perturbed, activations)

    def has_answers(self, covering: Covering) -> bool:
        """Whether nothing of a covering has to be asked."""
        key = id(covering.activation_fn)
        return not any(self._lacking(covering)) and all(
            self._found.get((key, question), {}).keys() >= set(self._wanted_of(question, [covering]))
            for question in self._maps
        )

    def answers(self, question: int, images: Iterable[Asked], activation_fn: Activation) -> npt.NDArray[np.float64]:
        """What was said of the label of a question on some images.

        Raises:
            KeyError: if one of them was not asked about.
        """
        found = self._found[id(activation_fn), question]
        return np.array([found[self._known_as(question, image)] for image in images], np.float64)

    def answers_on_copies(
        self, row: int, label: int, perturbation: Perturbation, activation_fn: Activation
    ) -> npt.NDArray[np.float64]:
        """What was said of a label on the changed copies of an image.

        Raises:
            KeyError: if they were not asked about.
        """
        said: FloatArray = self._memory[self._copies_key(activation_fn, perturbation, row)][label]
        return said.astype(np.float64)

    def _image(self, row: int) -> ImageOfView:
        return ImageOfView(self._view, row, self._memory)

    def _wanted_of(self, question: int, coverings: Sequence[Covering]) -> list[Asked]:
        """All images of a question, each once."""
        map_, images = self._maps[question], dict[Asked, None]()
        for covering in coverings:
            images.update(dict.fromkeys(covering.static))
            for curve in covering.curves:
                images.update(dict.fromkeys(map(map_.known_as, map_.points(curve))))
        return list(images)

    def _known_as(self, question: int, image: Asked) -> Asked:
        return image if isinstance(image, BlendedImage) else self._maps[question].known_as(image)

    def _throughout(self, question: int, image: GroupsCovered) -> bool:
        return image.last - image.first == self._maps[question].number(image.groups)

    def _is_known(self, question: int, image: Asked) -> bool:
        """Whether an image need not pass: it is untouched, or removed throughout."""
        if isinstance(image, BlendedImage):
            return False
        return image.first == image.last or self._throughout(question, image)

    def _passing(self, question: int, images: Iterable[Asked]) -> list[Asked]:
        """Those that pass, alike ones together."""
        return sorted((image for image in images if not self._is_known(question, image)), key=sorted_by)

    def _ask_passing(self, wanted: Wanted, activations: Mapping[int, Activation]) -> None:
        """Ask about changed images of questions, and about those that are removed throughout."""
        questions = [question for question, images in wanted.of_questions.items() if images]
        counts = [len(wanted.of_questions[question]) for question in questions]
        labels = np.append(np.repeat(self._view.labels[questions], counts), np.full(len(wanted.whole), -1))
        if not len(labels):
            return
        blocks = (self._maps[question].blocks(wanted.of_questions[question]) for question in questions)
        whole = (self._removed_throughout(*one) for one in wanted.whole)
        logits = gathered(self._view.network.streamed_logits(chain(chain.from_iterable(blocks), whole)))
        found, kept = self._of_labels(logits, labels, activations)
        for key, values in found.items():
            edges = np.cumsum([0, *counts])
            for question, first, last in zip(questions, edges, edges[1:], strict=False):
                said = values[first:last]
                self._found[key, question].update(zip(wanted.of_questions[question], said.tolist(), strict=True))
        self._memory.update(zip(map(self._whole_key, wanted.whole), kept, strict=True))

    def _removed_throughout(self, removal: Removal, row: int) -> FloatArray:
        image = self._image(row)
        out = np.empty((1, *image.image.shape), np.float32)
        image.remover(removal).write(np.ones((1, *self._view.size), np.bool_), out)
        left: FloatArray = out[0]
        return left

    def _of_labels(
        self, parts: Iterable[FloatArray], labels: IntArray, activations: Mapping[int, Activation]
    ) -> tuple[dict[int, FloatArray], FloatArray]:
        """The probability (rows,) of each row's label, by activation, and the logits of rows whose label is -1."""
        found, kept, first = {key: np.empty(len(labels), np.float32) for key in activations}, [], 0
        for logits in parts:
            rows = slice(first, first + len(logits))
            for key, activation_fn in activations.items():
                probabilities = answers_of(self._view, logits, activation_fn)
                found[key][rows] = probabilities[np.arange(len(logits)), labels[rows]]
            kept.append(logits[labels[rows] < 0])
            first = rows.stop
        return found, np.concatenate(kept)

    def _note_known(self, coverings: Sequence[Covering], activations: Mapping[int, Activation]) -> None:
        """Note what was said of images that need not pass."""
        known = [
            (question, image)
            for question in self._maps
            for image in self._wanted_of(question, coverings)
            if self._is_known(question, image)
        ]
        if not known:
            return
        logits = np.stack([self._known_logits(question, image) for question, image in known])
        labels = self._view.labels[[question for question, _ in known]]
        for key, values in self._of_labels([logits], labels, activations)[0].items():
            for (question, image), value in zip(known, values.tolist(), strict=True):
                self._found[key, question][image] = value

    def _known_logits(self, question: int, image: Any) -> FloatArray:
        """Logits (classes,) of an image that is untouched, or removed throughout."""
        row = int(self._view.rows[question])
        if image.first == image.last:
            untouched: FloatArray = self._view.logits[row]
            return untouched
        if isinstance(image.removal, str):
            said: FloatArray = self._memory[self._whole_key((image.removal, row))]
            return said
        uniform: FloatArray = self._view.network.uniform_logits(image.removal, self._view.images.shape[1:])
        return uniform

    def _ask_perturbed(
        self, wanted: Mapping[tuple[int, Perturbation], Collection[int]], activations: Mapping[int, Activation]
    ) -> None:
        """Ask about copies that do not depend on maps: once, for all activations and for all labels of their images."""
        by_row: dict[int, list[Perturbation]] = {}
        for row, perturbation in sorted(wanted, key=itemgetter(0)):
            by_row.setdefault(row, []).append(perturbation)
        if not by_row:
            return
        view = self._view.subset(np.flatnonzero(np.isin(self._view.rows, list(by_row))))
        counts = [[of.number(self._image(row)) for of in by_row[row]] for row in by_row]
        blocks = (of.block(self._image(row)) for row in by_row for of in by_row[row])
        logits = gathered(self._view.network.streamed_logits(blocks))
        keys = sorted(set().union(*wanted.values()))
        said = (np.stack([answers_of(view, part, activations[key]) for key in keys], axis=2) for part in logits)
        answered = view.answered(said, map(sum, counts))
        for of_image, (row, places, values) in zip(counts, answered, strict=True):
            labels, edges = view.labels[places].tolist(), np.cumsum(of_image)[:-1]
            for perturbation, part in zip(by_row[row], np.split(values, edges), strict=True):
                for key in wanted[row, perturbation]:
                    kept = self._memory.setdefault(self._copies_key(activations[key], perturbation, row), {})
                    kept.update(zip(labels, part[:, :, keys.index(key)].T.copy(), strict=True))

    def _lacking(self, covering: Covering) -> Iterator[tuple[int, Perturbation]]:
        """The images and perturbations whose copies have to be asked about before a covering is answered."""
        for perturbation in covering.perturbations:
            rows = self._view.rows if perturbation.constant_maps else self._view.rows[list(self._maps)]
            for row in np.unique(rows).tolist():
                if not self._knows(covering.activation_fn, perturbation, row):
                    yield row, perturbation

    def _knows(self, activation_fn: Activation, perturbation: Perturbation, row: int) -> bool:
        known = self._memory.get(self._copies_key(activation_fn, perturbation, row), {})
        return set(self._view.labels[self._view.rows == row].tolist()) <= set(known)

    def _copies_key(self, activation_fn: Activation, perturbation: Perturbation, row: int) -> tuple[Any, ...]:
        return id(activation_fn), perturbation, int(self._view.sample_ids[row])

    def _whole_key(self, whole: Whole) -> tuple[Any, ...]:
        removal, row = whole
        return "removed throughout", removal, int(self._view.sample_ids[row])


def answers_of(view: View, logits: FloatArray, activation_fn: Activation) -> FloatArray:
    """What an activation, or what stands for one, makes of logits (N, classes)."""
    if activation_fn in OF_LOGITS.values():
        read: FloatArray = activation_fn(logits)
        return read
    activated: FloatArray = view.network.activated(logits, activation_fn)
    return activated
