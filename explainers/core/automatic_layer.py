"""The layer that is read where none was named."""

from __future__ import annotations

from ...summary_format.problem import Problem
from ..network import Network
from ..network.tensors import FloatArray

CHOSEN = "layer %r was chosen automatically for %s; set the option 'layer' to name another"


def automatic_layer(network: Network, image: FloatArray) -> str:
    """The name of the last layer that gives feature maps (N, channels, h, w) of more than one place; takes a pass.

    Of layers within one another that give the same shape it is the outermost, whose output is the last.

    Args:
        network: where the pass runs.
        image: (C, H, W).

    Raises:
        ValueError: if no layer does, or in graph mode.
    """
    shapes = {name: shape for name, _, shape in network.layers(image[None], "layer choice")}
    found = [name for name, shape in shapes.items() if shape and len(shape) == 4 and shape[2] * shape[3] > 1]
    if not found:
        words = "no layer gives feature maps (N, channels, h, w) to read; name one with the option 'layer'"
        raise ValueError(Problem.of("no-feature-maps", words))
    parts = found[-1].split(".")
    around = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return next(name for name in around if shapes.get(name) == shapes[found[-1]])
