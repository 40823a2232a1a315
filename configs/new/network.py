"""The network that explain.yaml explains: fill in the class below, or import your own under the name ``Network``."""

from __future__ import annotations

from mindspore import Tensor, nn


class Network(nn.Cell):
    """Logits (N, classes) from images (N, 3, height, width).

    FILL IN: this is a small example. Yours may be any Cell; its parameters must fit the checkpoint exactly.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(3, 16, 3, stride=2, pad_mode="same", has_bias=True),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, pad_mode="same", has_bias=True),
            nn.ReLU(),
        )
        self.head = nn.Dense(32, classes)

    def construct(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean((2, 3)))
