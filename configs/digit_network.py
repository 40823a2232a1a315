"""The bundled classifier: which digits are in a scene? Trained by ``scripts/train_quickstart``."""

from __future__ import annotations

from mindspore import Tensor, nn, ops


class ConvBlock(nn.Cell):
    """3 x 3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride, pad_mode="pad", padding=1, has_bias=False)
        self.norm = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class DigitNetwork(nn.Cell):
    """Logits (N, 10), one a digit, independent of each other (sigmoid), from images (N, 3, 112, 112).

    Layers by name: block1 to block6 (each with conv, norm, relu), dropout, head. The last feature map, ``block6``,
    is 14 x 14; its maximum over places feeds the head, so a digit's evidence comes from one place.

    Attributes:
        num_features: how many numbers of an image feed the head, 128.
        output_features: return those, (N, 128), instead of logits; what an OoDNet asks for.
    """

    def __init__(self, num_classes: int = 10, dropout: float = 0.2) -> None:
        super().__init__()
        self.num_features = 128
        self.output_features = False
        self.block1 = ConvBlock(3, 24, stride=2)
        self.block2 = ConvBlock(24, 32)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.block3 = ConvBlock(32, 64)
        self.block4 = ConvBlock(64, 64)
        self.pool2 = nn.MaxPool2d(2, 2)
        self.block5 = ConvBlock(64, 128)
        self.block6 = ConvBlock(128, 128)
        self.dropout = nn.Dropout(p=dropout)
        self.head = nn.Dense(self.num_features, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """The last feature map (N, 128, 14, 14)."""
        x = self.pool1(self.block2(self.block1(x)))
        x = self.pool2(self.block4(self.block3(x)))
        return self.block6(self.block5(x))

    def construct(self, x: Tensor) -> Tensor:
        pooled = ops.amax(self.features(x), (2, 3))
        return pooled if self.output_features else self.head(self.dropout(pooled))
