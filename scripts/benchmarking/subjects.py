"""The networks that are measured, as plain facts, and how much work a row does on each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIGS, DATA = ROOT / "configs", ROOT.parent / "shared" / "data"
PASS_SIZE = 16


@dataclass(frozen=True)
class Subject:
    """A network and its sizes of work.

    Attributes:
        name: short, as options name it.
        title: in a table.
        shape: of an image.
        classes: of its logits.
        layer: that CAMs read.
        layer_in_pytorch: the same one's name there.
        channels: of that layer.
        activation: "sigmoid" or "softmax".
        needs: a folder that it is read from; None where the package has all of it.
        few: samples of methods that run many images per sample.
        copies: how many images those run per sample: a square, so that windows come to it too.
        many: samples of methods that run few images per sample.
        labels: questions per sample of the latter.
        window: of Occlusion beside other libraries, its side; the stride is half of it.
        pair: images that both libraries explain by methods that run one pass or few per image.
        is_quick: whether the work is hardly any.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: int
    layer: str
    layer_in_pytorch: str
    channels: int
    activation: str = "softmax"
    needs: Path | None = None
    few: int = 8
    copies: int = 256
    many: int = 128
    labels: int = 8
    window: int = 32
    pair: int = 1024
    is_quick: bool = False

    @property
    def windows_a_side(self) -> int:
        """So many windows a side make ``copies`` images."""
        return isqrt(self.copies)

    def quick(self) -> Subject:
        """The same network, with hardly any work."""
        window = self.shape[1] // 4
        return replace(self, is_quick=True, few=2, copies=16, many=4, labels=2, pair=4, window=window)


SUBJECTS = {
    one.name: one
    for one in (
        Subject("digits", "bundled digit network, 112 x 112", (3, 112, 112), 10, "block6", "block6", 128, "sigmoid"),
        Subject(
            "resnet20", "ResNet-20 (CIFAR-10), 32 x 32", (3, 32, 32), 10, "layer3", "layer3", 64, needs=DATA, window=4,
            few=16, many=256,
        ),
        Subject(
            "lite0", "EfficientNet-Lite0 (ImageNet), 224 x 224", (3, 224, 224), 1000, "head", "head", 1280,
            needs=DATA / "lite0", few=4, pair=32,
        ),
        Subject(
            "resnet50", "ResNet-50 (random weights), 224 x 224", (3, 224, 224), 1000, "layer4", "layer4", 2048,
            few=4, pair=32,
        ),
    )
}  # fmt: skip
