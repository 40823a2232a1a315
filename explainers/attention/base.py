"""What methods that read attention have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from mindspore import nn

from ..core.explainer import Explainer
from ..core.layout import Grid
from ..core.view import Needs, View
from ..network import Attention, AttentionBlock, Network, Rule
from ..network.tensors import FloatArray
from ..network.tensors.layers import find_layer


class AttentionMap(Explainer):
    """A map from the attention of a transformer, which is found by what it computes.

    Args:
        network: see ``Explainer``.
        layers: dotted names of layers; the attention inside them is read, such as "blocks.11" or ["blocks.10",
            "blocks.11"]. ``explainrun layers`` shows what was found, and under which names. By default all.
        name: see ``Explainer``.

    Raises:
        TypeError: if the network is not a ``mindspore.nn.Cell``, or layers are not names.
        ValueError: if there is no such layer (the nearest names are offered), or an empty list is given.
    """

    signed = False
    pynative = True
    reads_attention = True
    rule: ClassVar[Rule | None] = None

    def __init__(self, network: nn.Cell, layers: str | Sequence[str] | None = None, name: str | None = None) -> None:
        super().__init__(network, name)
        self.layers = ("",) if layers is None else _layer_names(network, layers)
        self.needs = Needs.attention(*self.layers, rule=self.rule)

    def try_on(self, network: Network, image: FloatArray) -> None:
        for layer in self.layers:
            network.attention.inside([layer], image[None])
        self.check(network.attention.inside(self.layers, image[None]), (image.shape[1], image.shape[2]))

    @abstractmethod
    def check(self, blocks: Sequence[AttentionBlock], size: Grid) -> None:
        """Refuse attention for which the method is not defined.

        Args:
            blocks: of attention that it would read, in the order in which they run.
            size: of the image.

        Raises:
            ValueError: if it is not defined for these.
        """

    def attention(self, view: View) -> list[Attention]:
        """What passes gave of the attention that is read, in the order in which it runs.

        Raises:
            ValueError: if there is none, or it is refused.
        """
        self.try_on(view.network, view.images[0])
        return view.attention(self.rule, self.layers)


def _layer_names(network: nn.Cell, layers: Any) -> tuple[str, ...]:
    """Names of layers, all of them the network's; of the second attention in a layer it is "layer#2".

    Raises:
        TypeError: if they are not names.
        ValueError: if there are none, or the network has no such layer.
    """
    if not isinstance(layers, (str, list, tuple)) or not all(isinstance(one, str) for one in layers):
        raise TypeError(f"layers must be a layer's name, such as 'blocks.11', or a list of names, got {layers!r}")
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    if not names:
        raise ValueError("layers must name at least one layer, got none")
    for name in names:
        if layer := name.partition("#")[0]:
            find_layer(network, layer)
    return names
