"""What ``explainrun explain`` was asked for: options checked, the rest taken from the network's source."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from ...explainers import EXPLAINERS
from ...explainers.network import Output
from ...summary_format.images import Statistics
from ...summary_format.problem import Problem
from ...summary_format.storage.destinations import check_destination
from ..checkpoints.loading import located
from ..config.build import choose_device, class_names_of, sample_shape
from ..config.factories import FORMS, load_network
from ..config.schema import load_config
from ..data.pictures import Pixels
from ..problems import Problems
from .explanations import CHEAP_METHODS, Question, method_name
from .figure import Look, Shown, activation, channels_taken, from_file

IMAGENET = {"size": (224, 224), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FILE_KINDS = (".png", ".jpg", ".jpeg", ".pdf", ".svg", ".tif", ".tiff", ".webp")
_log = logging.getLogger("explainrun")


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A network, and what its source says of the pictures and classes that it was made for.

    Attributes:
        network: the Cell.
        size, mean, std: see ``Pixels``.
        class_names: in the order of its outputs.
        activation: "softmax" or "sigmoid".
        options: of explainers, by their names.
        output: which part of what the network returns is its logits.
    """

    network: nn.Cell
    size: tuple[int, int] | None = None
    mean: Statistics | None = None
    std: Statistics | None = None
    class_names: Sequence[str] | None = None
    activation: str = "softmax"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: Output = None


@dataclass(frozen=True)
class PictureRequest:
    """The command's options as they were typed; see ``explainrun explain --help``."""

    images: Sequence[str]
    network: str | None = None
    checkpoint: str | None = None
    methods: str | None = None
    targets: Sequence[str] = ()
    layer: str | None = None
    size: str | None = None
    channels: int | None = None
    mean: str | None = None
    std: str | None = None
    classes: str | None = None
    activation: str | None = None
    output: str | None = None
    device: str | None = None
    settings: Sequence[tuple[str, Any]] = ()
    alpha: float = 0.5
    rows: int = 1
    cmap: str | None = None
    seed: int = 0
    savefig: str | None = None

    def prepared(self) -> tuple[Question, list[Shown], Look]:
        """What is asked, of which pictures, and how to draw it.

        Raises:
            PlanError: with everything that is wrong.
        """
        problems = Problems()
        if not self.images:
            problems.append(Problem.of("no-picture-named", "name a picture: a path or an http(s) address"))
        classifier = problems.attempt("--network", self._classifier)
        given = {
            "size": problems.attempt("--size", partial(_size, self.size)),
            "mean": problems.attempt("--mean", partial(_statistics, self.mean)),
            "std": problems.attempt("--std", partial(_statistics, self.std)),
        }
        pixels = Pixels()
        if classifier is not None:
            pixels = problems.attempt("", partial(self._pixels, given, classifier)) or pixels
        shown = [problems.attempt("", partial(from_file, source, pixels)) for source in self.images]
        look = problems.attempt("", lambda: Look(self.alpha, self.rows, self.cmap))
        problems.attempt("--savefig", partial(check_file, self.savefig))
        names = problems.attempt("--classes", partial(self._class_names, classifier))
        methods = self._methods(classifier, problems)
        if classifier is None:
            problems.raise_if_any()
        question = Question(
            network=classifier.network,
            methods=methods,
            activation_fn=activation(self.activation or classifier.activation),
            targets=[tuple(self.targets) or (None,)] * len(self.images),
            layers=_comma_separated(self.layer),
            class_names=names,
            seed=self.seed,
            output=self._output(classifier),
        )
        problems += question.problems()
        problems.raise_if_any()
        _log_defaults(pixels)
        return question, shown, look

    def _classifier(self) -> Classifier:
        if self.network is None:
            words = "name one: a config (.yaml), {forms}"
            raise ValueError(Problem.of("network-not-named", words, forms=FORMS))
        checkpoint = None if self.checkpoint is None else str(located(self.checkpoint, Path.cwd()))
        if self.network.endswith((".yaml", ".yml")):
            return configured(Path(self.network), checkpoint, self.device, self.size is None)
        choose_device(self.device or "auto")
        known: dict[str, Any] = IMAGENET if self.network.startswith("mindcv:") else {}
        return Classifier(network=load_network(self.network, checkpoint), **known)

    def _pixels(self, given: Mapping[str, Any], classifier: Classifier) -> Pixels:
        size, mean, std = (
            getattr(classifier, name) if given[name] is None else given[name] for name in ("size", "mean", "std")
        )
        channels = self.channels or channels_taken(classifier.network, size)
        return Pixels(size, channels, mean, std)

    def _class_names(self, classifier: Classifier | None) -> Sequence[str] | None:
        if self.classes is not None:
            return class_names_of(str(Path(self.classes).absolute()), Path())
        return None if classifier is None else classifier.class_names

    def _output(self, classifier: Classifier) -> Output:
        """An index or key; the config's where none is given."""
        if self.output is None:
            return classifier.output
        return int(self.output) if re.fullmatch(r"-?\d+", self.output) else self.output

    def _methods(self, classifier: Classifier | None, problems: Problems) -> list[dict[str, dict[str, Any]]]:
        """Each method named with its options: those that are set, else the config's."""
        asked = list(CHEAP_METHODS) if self.methods is None else _comma_separated(self.methods)
        named = [name for name in (problems.attempt("--method", partial(method_name, one)) for one in asked) if name]
        known = {} if classifier is None else classifier.options
        options = {name: dict(known.get(name, {})) for name in named}
        for name in named if self.layer else ():
            options[name].pop("layer", None)
        for key, value in self.settings:
            name, dot, option = key.partition(".")
            method = next((method for method in named if method.lower() == name.lower()), None)
            if not dot or not option:
                words = "--set: {key!r} is not METHOD.option"
                problems.append(Problem.of("set-malformed", words, key=key))
            elif method is None:
                words = "--set: {name!r} is not among the methods {methods:list}"
                problems.append(Problem.of("set-of-no-method", words, name=name, methods=list(options)))
            else:
                options[method][option] = value
        return [{name: options[name]} for name in named]


def _log_defaults(pixels: Pixels) -> None:
    if pixels.size is None:
        _log.info("pictures are given to the network in the size that they have; --size brings them to another")
    if pixels.mean is None:
        _log.info("pixels are given to the network as 0..1; --mean and --std normalise them")


def configured(path: Path, checkpoint: str | None, device: str | None, sized: bool) -> Classifier:
    """The classifier of a config file.

    Args:
        path: the config.
        checkpoint: instead of the config's.
        device: instead of the config's.
        sized: whether to read the size of images from its data.

    Raises:
        PlanError: with everything that is wrong with it.
    """
    config, unknown = load_config(path)
    problems, folder, section = Problems(unknown), path.parent, config.network
    problems.attempt("--device", partial(choose_device, device or config.device))
    make = partial(load_network, section.factory, checkpoint or section.checkpoint, folder, **section.options)
    network = problems.attempt("network", make)
    names = problems.attempt("class_names", partial(class_names_of, config.class_names, folder))
    size = config.data.size
    if sized and size is None:
        shape = problems.attempt("", partial(sample_shape, path))
        size = None if shape is None else shape[1:]
    problems.raise_if_any()
    options: dict[str, dict[str, Any]] = {}
    for entry in config.explainers:
        name, given = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, {})
        if isinstance(name, str) and name in EXPLAINERS and isinstance(given, (dict, type(None))):
            options.setdefault(name, _from_folder(name, given or {}, folder))
    return Classifier(
        network=network,
        size=size,
        mean=config.mean,
        std=config.std,
        class_names=names,
        activation=config.activation,
        options=options,
        output=config.output,
    )


def check_file(path: str | None) -> None:
    """Make sure that a figure can be written there, as far as one can see beforehand.

    Raises:
        ValueError: if it cannot.
    """
    if path is None:
        return
    place = Path(path)
    if place.suffix.lower() not in FILE_KINDS:
        words = "{file} must end in one of {kinds:list}"
        raise ValueError(Problem.of("figure-kind", words, file=path, kinds=FILE_KINDS))
    if place.is_dir():
        raise ValueError(Problem.of("figure-is-folder", "{file} is a folder", file=path))
    if not place.parent.is_dir():
        raise ValueError(Problem.of("figure-without-folder", "there is no folder {folder}", folder=place.parent))
    check_destination(place)


def _from_folder(name: str, options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A config's options of an explainer, but for its name; the path of an ``ood_net`` made absolute."""
    kept = {key: value for key, value in options.items() if key != "name"}
    if "ood_net" in kept and "ood_net" in signature(EXPLAINERS[name]).parameters:
        kept["ood_net"] = str((folder / str(kept["ood_net"])).absolute())
    return kept


def _comma_separated(text: str | None) -> list[str]:
    return [] if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*([1-9]\d{0,4})\s*(?:[,x]\s*([1-9]\d{0,4})\s*)?", text)
    if not found:
        words = "must be H,W in pixels, or one number for a square, got {given!r}"
        raise ValueError(Problem.of("size-malformed", words, given=text))
    return int(found[1]), int(found[2] or found[1])


def _statistics(text: str | None) -> Statistics | None:
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not np.isfinite(values).all():
        words = "must be one number, or one for each channel with commas between, got {given!r}"
        raise ValueError(Problem.of("statistics-malformed", words, given=text))
    return values[0] if len(values) == 1 else values
