"""How a class that is checked is made, again and again, with the arguments that its constructor takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature
from typing import Any

import numpy as np
from mindspore import nn

from ..gradients.gradient import Gradient
from ..network import Network
from ..network.tensors import FloatArray, IntArray
from .bundled import LAYER, TinyClassifier, TinyTransformer, questions_of, tiny_images
from .rules import OfNetwork

FILLED_IN = ("network", "activation_fn", "num_labels", "layer", "explainer")  # what need not be given
PASS = 4  # images per pass: the questions on five images are more, and do not fill the last one


@dataclass(frozen=True)
class Checked:
    """A class that is checked, with what it is made from.

    Attributes:
        kind: the class.
        images: (N, C, H, W).
        arguments: what its constructor is given beside what is filled in.
    """

    kind: type[Any]
    images: FloatArray
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, base: type[Any], kind: type[Any], images: Any, arguments: Mapping[str, Any]) -> Checked:
        """A class with its images and arguments.

        Raises:
            TypeError: if it is not a subclass of the base, or an argument is lacking or unknown.
        """
        if not isinstance(kind, type) or not issubclass(kind, base):
            raise TypeError(f"the class must be a subclass of {base.__name__}, got {kind!r}")
        found = cls(kind, tiny_images() if images is None else np.asarray(images, np.float32), arguments)
        lacking = [name for name in found.needed if name not in FILLED_IN and name not in arguments]
        if lacking:
            raise TypeError(f"{kind.__name__} needs {' and '.join(lacking)}; give it, as in {lacking[0]}=...")
        return found

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What the constructor takes, by name."""
        return signature(self.kind).parameters

    @property
    def needed(self) -> list[str]:
        """The arguments that the constructor has no default for."""
        several = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        return [name for name, one in self.parameters.items() if one.default is one.empty and one.kind not in several]

    @property
    def bundled(self) -> bool:
        """Whether the network is ours, and so can be another one, or fail."""
        return "network" not in self.arguments

    def network(self, start: float = 0.0) -> nn.Cell:
        """The network that is given, or one of ours."""
        if not self.bundled:
            return self.arguments["network"]
        reads_attention = getattr(self.kind, "reads_attention", False)  # metrics do not say so
        return TinyTransformer(start) if reads_attention else TinyClassifier(start)

    def made(self, network: nn.Cell | None = None, /, **changed: Any) -> Any:
        """An object of the class, bound to a network or to a new one; some of its arguments changed."""
        network = self.network() if network is None else network
        filled = dict(zip(FILLED_IN, (network, nn.Softmax(), self.classes, LAYER, Gradient(network)), strict=True))
        given = {name: value for name, value in filled.items() if name in self.parameters}
        given |= {name: value for name, value in self.arguments.items() if name != "network"}
        of_network = {name: one.make(network) for name, one in given.items() if isinstance(one, OfNetwork)}
        return self.kind(**{**given, **of_network, **changed})

    @cached_property
    def classes(self) -> int:
        """How many classes the network has."""
        return int(Network(self.network(), PASS, fill=True).logits(self.images[:1]).shape[1])

    @cached_property
    def questions(self) -> tuple[IntArray, IntArray]:
        """Which image each question is about, and which label."""
        return questions_of(len(self.images), self.classes)
