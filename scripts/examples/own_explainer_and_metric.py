"""An explainer and a metric of your own: held to what all keep to, then run beside others.

    python scripts/examples/own_explainer_and_metric.py [FOLDER]

Takes half a minute on 2 cores. In a package of yours an entry point makes both known by name to configs and commands;
CONTRIBUTING.md has the lines.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from explainrun.benchmarks import Explanation, Metric, Scores
from explainrun.configs import digit_network
from explainrun.configs.digit_scenes import scene_dataset
from explainrun.explainers import Explainer, FloatArray, Gradient, Needs, RandomMap, View
from explainrun.runner import ImageClassificationRunner, RunResult
from explainrun.testing import check_explainer, check_metric

CLASSES = [str(digit) for digit in range(10)]


class SquaredGradient(Explainer):
    """Squared gradient of the logit, summed over the channels; never negative.

    ``needs`` asks for the pass that all gradient methods share, so that it costs none of its own beside them.

    Args:
        network: see ``Explainer``.
        scale: what the sum is multiplied by.
        name: see ``Explainer``.
    """

    needs = Needs.gradient()
    signed = False

    def __init__(self, network: nn.Cell, scale: float = 1.0, name: str | None = None) -> None:
        super().__init__(network, name)
        self.scale = scale

    def attribute(self, view: View) -> FloatArray:
        gradient = view.derivatives().input_gradient  # (Q, C, H, W), one for each question
        squared: FloatArray = self.scale * (gradient**2).sum(axis=1)
        return squared


class Spread(Metric):
    """Share of the pixels above a share of the map's maximum, in 0..1; NaN for a map without order.

    Args:
        threshold: share of the maximum.
        name: see ``Metric``.
    """

    higher_is_better = False

    def __init__(self, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(name=name)
        self.threshold = threshold

    def score(self, explanation: Explanation) -> Scores:
        maps = explanation.maps
        shares = (maps > self.threshold * maps.max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2))
        return np.where(explanation.rankable, shares, np.nan)


def run(folder: Path, scenes: int = 8) -> RunResult:
    """Both beside others, on scenes of handwritten digits."""
    network = digit_network.DigitNetwork()
    ms.load_checkpoint(str(Path(digit_network.__file__).with_name("digit_network.ckpt")), network)
    runner = ImageClassificationRunner(
        folder, (scene_dataset(count=scenes), CLASSES), network, nn.Sigmoid(), mean=0.5, std=0.25
    )
    runner.register_saliency([SquaredGradient(network), Gradient(network), RandomMap(network)], [Spread()])
    return runner.run()


if __name__ == "__main__":
    check_explainer(SquaredGradient, scale=2.0)  # raises at the first rule that is broken, and says how to fix it
    check_metric(Spread)
    print(run(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/own_explainer")))
