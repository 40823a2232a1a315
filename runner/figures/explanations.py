"""What several methods say about single pictures: chosen by name, bound to a network, asked about one label each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from ...explainers import EXPLAINERS, Explainer, Network
from ...explainers.core.automatic_layer import automatic_layers, log_choices
from ...explainers.core.together import attribute_together
from ...explainers.core.view import Needs, View
from ...explainers.network import NetworkRefusedError, Output
from ...explainers.network.tensors import Activation, FloatArray
from ...explainers.network.tensors.layers import find_layer
from ...summary_format.errors import nearest
from ...summary_format.problem import Problem
from ..batches.progress import RunProgress
from ..config.components import component_factory
from ..problems import Problems, error_line
from .targets import Target, labels_of

CHEAP_METHODS = ("Gradient", "InputXGradient", "GuidedBackprop", "GradCAM")  # one pass forward and back each
Method = str | Mapping[str, Any] | Explainer


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about pictures.

    Attributes:
        network: from images (N, C, H, W) to logits (N, classes).
        methods: names, one-entry mappings from a name to its options, or explainers of that network.
        activation_fn: from logits to probabilities.
        targets: for each picture several of: a class index, a class name, "top-K" for its K most probable classes, None
            or "predicted" for the most probable one.
        layers: for methods that read layers and whose options name none; without any, the deepest feature maps.
        class_names: in the order of the network's outputs; None leaves classes without names.
        seed: what randomness starts from.
        output: which part of what the network returns is its logits, as for an explainer's direct call.
    """

    network: nn.Cell
    methods: Sequence[Method]
    activation_fn: Activation
    targets: Sequence[Sequence[Target]]
    layers: Sequence[str] = ()
    class_names: Sequence[str] | None = None
    seed: int = 0
    output: Output = None

    def opened(self) -> Network:
        """The network as it is asked."""
        classes = None if self.class_names is None else len(self.class_names)
        return Network(self.network, output=self.output, classes=classes)

    def problems(self) -> Problems:
        """What is wrong with it as far as no pass is needed to see."""
        problems = Problems()
        for method in self.methods:
            if isinstance(method, Explainer):
                if method.network is not self.network:
                    words = "{explainer} explains another network; construct it with the same Cell"
                    problems.append(Problem.of("network-of-another", words, explainer=method.name))
            else:
                problems.attempt("", partial(self._maker, method, None, 1))
        names = [name_of(method) for method in self.methods]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                problems.append(Problem.of("method-named-twice", "method {name!r} is named twice", name=name))
        problems += [] if names else [Problem.of("no-method", "name at least one method")]
        for layer in self.layers:
            problems.attempt("", partial(find_layer, self.network, layer))
        if self.class_names is not None:
            for targets in {repr(targets): targets for targets in self.targets}.values():
                problems.attempt("", partial(self.labels, targets, np.zeros(len(self.class_names), np.float32)))
        return problems

    def labels(self, targets: Sequence[Target], logits: FloatArray) -> list[int]:
        """The classes that targets mean for a picture of these logits (classes,).

        Raises:
            ValueError: if there are none.
        """
        return labels_of(targets, self.class_names or (), logits)

    def class_name(self, label: int) -> str:
        """What a class is called."""
        return f"class {label}" if self.class_names is None else self.class_names[label]

    def explainers(self, images: Sequence[FloatArray], network: Network, classes: int) -> list[Explainer]:
        """The methods, bound to the network; may take a pass to find the deepest feature maps.

        Raises:
            PlanError: if some cannot be made.
        """
        problems, made = Problems(), []
        for method in self.methods:
            if isinstance(method, Explainer):
                made.append(method)
                continue
            make = problems.attempt("", partial(self._maker, method, self.network, classes))
            made.append(make and problems.attempt(name_of(method), make))
        problems.raise_if_any()
        lacking = [method for method in made if method.lacks_layer]
        if self.layers or not lacking:
            return [method.with_layer(self.layers) if method.lacks_layer else method for method in made]
        names, reshapes = [one.name for one in lacking], [one.wanted_reshape for one in lacking]
        layers = problems.attempt(", ".join(names), partial(automatic_layers, network, images[0], reshapes))
        problems.raise_if_any()
        chosen = dict(zip(names, layers, strict=True))
        log_choices(chosen)
        return [method.reading(chosen[method.name]) if method.lacks_layer else method for method in made]

    def _with_layers(self, method: str | Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The entry of a method, the layers named where it, or the method inside it, reads some and its own are not."""
        name, options = _entry(method)
        if "explainer" in options:
            options["explainer"] = self._with_layers(options["explainer"])
        elif self.layers and "layer" in signature(EXPLAINERS[name]).parameters and options.get("layer") is None:
            options["layer"] = self.layers[0] if len(self.layers) == 1 else list(self.layers)
        return {name: options}

    def _maker(self, method: str | Mapping[str, Any], network: nn.Cell | None, classes: int) -> Callable[[], Explainer]:
        """What makes the explainer that an entry names.

        Raises:
            ValueError: if there is none of that name, or its options do not fit it.
        """
        given = {"network": network, "num_labels": classes, "activation_fn": self.activation_fn}
        statistics, entry = {"mean": None, "std": None}, self._with_layers(method)
        made: Callable[[], Explainer] = component_factory(EXPLAINERS, entry, given, Path(), statistics)
        return made


@dataclass(frozen=True, kw_only=True)
class ExplainedPicture:
    """What the methods said about a class of a picture.

    Attributes:
        row: which picture.
        label: the class that they were asked about.
        probability: of it.
        top: the class that the network puts first, and its probability.
        maps: (H, W), by the method's name.
        refused: why a method has none, by its name.
    """

    row: int
    label: int
    probability: float
    top: tuple[int, float]
    maps: Mapping[str, FloatArray]
    refused: Mapping[str, str] = field(default_factory=dict)


def explain_pictures(
    question: Question, images: Sequence[FloatArray], names: Sequence[str]
) -> tuple[list[ExplainedPicture], list[Explainer]]:
    """What each method says about each image and each class asked about, in that order, and the methods.

    Args:
        question: what is asked.
        images: (C, H, W) each, of any sizes that the network takes.
        names: of the images, for messages.

    Raises:
        PlanError: with all that is wrong, as far as it can be seen before the methods run.
    """
    question.problems().raise_if_any()
    network, problems = question.opened(), Problems()
    logits = [_tried_logits(network, name, image, problems) for name, image in zip(names, images, strict=True)]
    problems.raise_if_any()
    classes = logits[0].shape[1]
    if question.class_names is not None and len(question.class_names) != classes:
        words = "{names:there are class name}, the network has {classes:plural class}"
        problems.append(Problem.of("class-names-not-outputs", words, names=len(question.class_names), classes=classes))
        problems.raise_if_any()
    asked = [
        problems.attempt("", partial(question.labels, targets, of_image[0]))
        for targets, of_image in zip(question.targets, logits, strict=True)
    ]
    problems.raise_if_any()
    methods = question.explainers(images, network, classes)
    found: list[ExplainedPicture] = []
    with RunProgress(len(images)) as progress:
        network.after_pass = progress.alive
        for row, image in enumerate(images):
            progress.doing(names[row])
            found += _explain_picture(question, network, methods, row, image, logits[row], asked[row])
            progress.advance(1)
    return found, methods


def _explain_picture(
    question: Question,
    network: Network,
    methods: Sequence[Explainer],
    row: int,
    image: FloatArray,
    logits: FloatArray,
    labels: Sequence[int],
) -> list[ExplainedPicture]:
    probabilities = network.activated(logits, question.activation_fn)[0]
    top = int(logits[0].argmax())
    # Every picture is sample 0, so that random masks do not depend on which pictures stand before it.
    asked_about = (network, image[None], np.zeros(len(labels), np.int64), np.array(labels))
    view = partial(View, *asked_about, seed=question.seed, logits=logits)
    maps, refused = _maps(methods, view)
    finite = {name: np.isfinite(of_method).all(axis=(1, 2)) for name, of_method in maps.items()}
    unknown = "its map holds NaN or infinity"
    return [
        ExplainedPicture(
            row=row,
            label=label,
            probability=float(probabilities[label]),
            top=(top, float(probabilities[top])),
            maps={name: of_method[place] for name, of_method in maps.items() if finite[name][place]},
            refused=refused | {name: unknown for name, known in finite.items() if not known[place]},
        )
        for place, label in enumerate(labels)
    ]


def method_name(given: str) -> str:
    """An explainer's name, however its letters are cased.

    Raises:
        ValueError: if there is none; the nearest names are offered.
    """
    known = {name.lower(): name for name in EXPLAINERS}
    if given.lower() in known:
        return known[given.lower()]
    near = get_close_matches(given.lower(), known, n=1)
    known_names = nearest(known[near[0]] if near else given, EXPLAINERS)
    raise ValueError(Problem.of("method-unknown", "no explainer {name!r}; {nearest}", name=given, nearest=known_names))


def name_of(method: Method) -> str:
    """What a method is called, as far as that is known."""
    if isinstance(method, Explainer):
        return method.name
    try:
        name, options = _entry(method)
    except ValueError:
        return str(method)
    return str(options.get("name") or name)


def _entry(method: Any) -> tuple[str, dict[str, Any]]:
    """Name and options of a method, the name as the registry has it."""
    name, options = next(iter(method.items())) if isinstance(method, Mapping) and len(method) == 1 else (method, {})
    if not isinstance(name, str) or not isinstance(options, (Mapping, type(None))):
        words = "a method is a name, a mapping from one name to its options or an explainer, got {given!r}"
        raise ValueError(Problem.of("method-malformed", words, given=method))
    return method_name(name), dict(options or {})


def _tried_logits(network: Network, name: str, image: FloatArray, problems: Problems) -> Any:
    """Logits (1, classes) of an image; None where the network fails, which is noted."""
    where = (
        f"the network fails on {name}, an image {'x'.join(map(str, image.shape))} (channels x height x width; "
        f"say the size that it takes)"
    )
    try:
        return _logits(network, image)
    except NetworkRefusedError as error:  # of the network, whatever the image
        if not problems:
            problems.note(error)
    except Exception as error:
        problems.note(error, where)
    return None


def _logits(network: Network, image: FloatArray) -> FloatArray:
    logits = network.logits(image[None])
    if not np.isfinite(logits).all():
        words = "its output holds NaN or infinity, so there is nothing to explain"
        raise ValueError(Problem.of("picture-output-not-finite", words))
    return logits


def _maps(methods: Sequence[Explainer], view: Callable[..., View]) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """The maps (Q, H, W) of a view of one image, and why some methods have none.

    Methods share their passes; those that failed then are asked again alone, since what one of them needs may have
    spoilt a pass for the others.
    """
    found, refused = _shared_maps(methods, view)
    for method in methods:
        if method.name in refused and (method.needs.passes or method.needs.outputs) and len(methods) > 1:
            alone, still = _shared_maps([method], view)
            found |= alone
            refused = {name: why for name, why in refused.items() if name not in alone} | still
    return found, refused


def _shared_maps(
    methods: Sequence[Explainer], view: Callable[..., View]
) -> tuple[dict[str, FloatArray], dict[str, str]]:
    together: View = view(needs=Needs.together(method.needs for method in methods))
    able, refused = [], {}
    for method in methods:
        try:
            method.images_needed(1, len(together.labels), together.images.shape[1:])
            able.append(method)
        except ValueError as error:
            refused[method.name] = error_line(error)
    found, errors = attribute_together(able, together)
    refused |= {name: error_line(error) for name, error in errors.items()}
    return {name: estimate.maps for name, estimate in found.items()}, refused
