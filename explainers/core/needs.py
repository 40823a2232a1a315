"""What explainers ask of the passes that they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from ...summary_format.problem import Problem
from ..arguments import is_whole
from ..network import INPUT_LAYER, Rule, attention_tap, tapped_attention
from ..network.tensors import FloatArray, IntArray, one_hot

HIGHEST = "highest"


class LogitWeights(Protocol):
    """Says of which sum of logits a question asks, instead of its label's logit alone. Equal ones share passes."""

    def __hash__(self) -> int: ...

    def weights(self, logits: FloatArray, labels: IntArray) -> FloatArray:
        """By what each logit is multiplied in the sum, (Q, classes).

        Args:
            logits: (Q, classes) of the image of each question.
            labels: (Q,) that it asks about.
        """


@dataclass(frozen=True)
class Against:
    """The label's logit less another label's: why the one, and not the other. Of a label and itself that is 0.

    Attributes:
        other: a label, or "highest" for the one whose logit is the highest beside the question's label: the predicted
            one, or the second where the question asks about that. Of equal logits it is the first label.

    Raises:
        ValueError: if other is something else.
    """

    other: int | str = HIGHEST

    def __post_init__(self) -> None:
        if not (self.other == HIGHEST if isinstance(self.other, str) else is_whole(self.other) and self.other >= 0):
            words = "against must be a label, a whole number from 0, or {word!r}, got {given!r}"
            raise ValueError(Problem.of("against-malformed", words, word=HIGHEST, given=self.other))

    def weights(self, logits: FloatArray, labels: IntArray) -> FloatArray:
        own, classes = one_hot(labels, logits.shape[1]), logits.shape[1]
        if isinstance(self.other, str):
            return own - one_hot(np.where(own > 0, -np.inf, logits).argmax(axis=1), classes)
        check_against(self.other, classes)
        return own - one_hot(np.full(len(labels), self.other), classes)


def check_against(other: int, classes: int) -> None:
    """Make sure that a label that others are compared with exists.

    Raises:
        ValueError: if it does not.
    """
    if other >= classes:
        words = "against must be a label below {classes}, as many classes as the network has, got {given}"
        raise ValueError(Problem.of("against-out-of-range", words, classes=classes, given=other))


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an explainer asks of the shared passes.

    Attributes:
        layers: for each backward rule whose differentiated pass it reads, the layers to tap in that pass; "" is the
            image itself.
        outputs: the layers whose outputs it reads without any gradient, from one forward of the images.
        layers_alone: the rules whose pass it reads at those layers only; the pass need not go back to the image then.
        biases: whether it reads the biases that the plain pass adds, with their gradients.
        weighed: for each sum of logits that it asks about, what it asks of the passes of that.
    """

    layers: Mapping[Rule, frozenset[str]] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()
    layers_alone: frozenset[Rule] = frozenset()
    biases: bool = False
    weighed: Mapping[LogitWeights, Needs] = field(default_factory=dict)

    @classmethod
    def gradient(cls, *layers: str, rule: Rule = "plain", image: bool = True, biases: bool = False) -> Needs:
        """One differentiated pass, with these layers tapped.

        Args:
            layers: dotted names; "" is the image itself.
            rule: how gradients go back.
            image: whether it reads the image's gradient. Where no explainer does, the pass back ends at the lowest of
                the layers that are tapped.
            biases: whether it reads the biases that the pass adds; for the plain rule.
        """
        alone = bool(layers) and not image and INPUT_LAYER not in layers
        return cls(layers={rule: frozenset(layers)}, layers_alone=frozenset({rule} if alone else ()), biases=biases)

    @classmethod
    def output(cls, *layers: str) -> Needs:
        """The outputs of these layers alone; that of "", the image itself, takes no pass."""
        return cls(outputs=frozenset(layers) - {INPUT_LAYER})

    @classmethod
    def attention(cls, *layers: str, rule: Rule | None = None) -> Needs:
        """The attention that is found inside these layers.

        Args:
            layers: dotted names; none, or "", for all attention of the network.
            rule: of the differentiated pass in which it is read, with its gradient: "plain", "loss" or "blocks" (see
                ``Network.differentiate``); None for the probabilities alone, from one forward of the images.
        """
        taps = frozenset(map(attention_tap, layers or ("",)))
        return cls(outputs=taps) if rule is None else cls.gradient(*taps, rule=rule, image=False)

    @classmethod
    def of_weighed(cls, weights: LogitWeights, needs: Needs) -> Needs:
        """The same of a sum of logits, instead of the label's logit alone; ``view.weighed`` gives those passes."""
        return cls(outputs=needs.outputs, weighed={weights: replace(needs, outputs=frozenset())})

    @property
    def passes(self) -> frozenset[tuple[LogitWeights | None, Rule]]:
        """The differentiated passes, by the sum of logits, None for the label's logit alone, and the rule."""
        inner = {(weights, rule) for weights, needs in self.weighed.items() for _, rule in needs.passes}
        return frozenset(inner.union((None, rule) for rule in self.layers))

    @property
    def every_layer(self) -> frozenset[str]:
        """All layers that it names, attention aside."""
        inner = (needs.every_layer for needs in self.weighed.values())
        taps = self.outputs.union(*self.layers.values(), *inner)
        return frozenset(tap for tap in taps if tapped_attention(tap) is None)

    @classmethod
    def together(cls, needs: Iterable[Needs]) -> Needs:
        """What serves all of them: one pass a rule, and one without gradient."""
        union: dict[Rule, frozenset[str]] = {}
        needs = list(needs)
        to_image = {rule for need in needs for rule in need.layers.keys() - need.layers_alone}
        for need in needs:
            for rule, layers in need.layers.items():
                union[rule] = union.get(rule, frozenset()) | layers
        sums = dict.fromkeys(weights for need in needs for weights in need.weighed)
        return cls(
            layers=union,
            outputs=frozenset().union(*(need.outputs for need in needs)),
            layers_alone=frozenset(union.keys() - to_image),
            biases=any(need.biases for need in needs),
            weighed={one: cls.together(need.weighed[one] for need in needs if one in need.weighed) for one in sums},
        )
