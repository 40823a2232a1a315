"""Scripts that users of mindspore_xai have, nothing but their import lines changed."""

import numpy as np
import pytest

SCRIPT = """
import numpy as np
import mindspore as ms
import mindspore.nn as nn
from mindspore import Tensor, context, load_checkpoint, load_param_into_net
from explainrun.explainers import GradCAM, Gradient, saliency_to_image
from explainrun.benchmarks import Faithfulness, Localization
from explainrun.runner import ImageClassificationRunner

from common import classes, digit_network, load_dataset

context.set_context(mode=context.PYNATIVE_MODE)
num_classes = 10
net = digit_network(num_classes)
param_dict = load_checkpoint(CHECKPOINT)
load_param_into_net(net, param_dict)

# one image
test_ds = load_dataset().batch(4)
images, labels, bboxes = next(test_ds.create_tuple_iterator())
grad_cam = GradCAM(net, layer="block6")
saliency = grad_cam(images[0:1], targets=3, show=False)
print(saliency.shape)
picture = saliency_to_image(saliency.asnumpy()[0, 0], None, with_alpha=True)

# a batch
saliencies = grad_cam(images, targets=Tensor([5, 5, 5, 5], dtype=ms.int32))
print(saliencies.shape)

# a metric on one image
mask = np.zeros([1, 1, 112, 112])
mask[:, :, 60:100, 80:112] = 1
localization = Localization(num_classes)
score = localization.evaluate(grad_cam, images[0:1], targets=5, mask=Tensor(mask, dtype=ms.float32))
print(score.shape)

# the runner
activation_fn = nn.Sigmoid()
gradient = Gradient(net)
faithfulness = Faithfulness(num_labels=num_classes, metric="InsertionAUC", activation_fn=activation_fn)
data = (load_dataset(), classes)
explainers = [grad_cam, gradient]
benchmarkers = [faithfulness, localization]
runner = ImageClassificationRunner(summary_dir="./summary_dir", network=net, activation_fn=activation_fn, data=data)
runner.register_saliency(explainers, benchmarkers)
runner.run()
"""

PERTURBING = """
import mindspore.nn as nn
from mindspore import Tensor, context
from explainrun.explainers import RISE, Gradient, Occlusion
from explainrun.benchmarks import ClassSensitivity, Robustness
from explainrun.runner import ImageClassificationRunner

from small import classes, Contrast, load_dataset

context.set_context(mode=context.PYNATIVE_MODE)
net = Contrast()
activation_fn = nn.Sigmoid()
images, labels, bboxes = next(load_dataset().batch(4).create_tuple_iterator())

occlusion = Occlusion(net, activation_fn, perturbation_per_eval=32)
occluded = occlusion(images[0:1], targets=3, show=False)
rise = RISE(net, activation_fn, perturbation_per_eval=32)
masked = rise(images[0:1], targets=Tensor([[3, 5]]), show=False)
print(occluded.shape, masked.shape)

gradient = Gradient(net)
class_sensitivity = ClassSensitivity()
robustness = Robustness(len(classes), activation_fn)
print(class_sensitivity.evaluate(gradient, images[0:1]).shape, robustness.evaluate(gradient, images[0:1], 3).shape)

runner = ImageClassificationRunner(summary_dir="./all", network=net, activation_fn=activation_fn,
                                   data=(load_dataset(), classes))
runner.register_saliency([gradient], [class_sensitivity, robustness])
runner.register_uncertainty()
runner.register_hierarchical_occlusion()
result = runner.run()
"""

COMMON = """
from explainrun.configs.digit_network import DigitNetwork as digit_network
from explainrun.configs.digit_scenes import CLASS_NAMES, scene_dataset
classes = list(CLASS_NAMES)
counts = [4, 1]  # of the scenes in a batch, and in the run
def load_dataset():
    return scene_dataset(count=counts.pop(0))
"""


SMALL = """
import numpy as np
import mindspore.dataset as ds
from mindspore import Tensor, nn, ops
classes = ["a", "b", "c", "d", "e", "f"]
class Contrast(nn.Cell):
    def __init__(self):
        super().__init__()
        self.dropout, self.head = nn.Dropout(p=0.1), nn.Dense(3, 6, weight_init="ones", bias_init="zeros")
        self.thresholds = Tensor(np.linspace(0.25, 1.2, 6, dtype=np.float32))
    def construct(self, x):
        contrast = ops.abs(x[..., 1:] - x[..., :-1]).mean((2, 3))
        return 20.0 * (self.head(self.dropout(contrast)) / 3 - self.thresholds)
def load_dataset():
    rng = np.random.default_rng(0)
    rows = [(rng.normal(size=(3, 56, 60)).astype(np.float32), np.int32([i, -1]), np.int32([[1, 2, 3, 4]] * 2))
            for i in range(4)]
    return ds.GeneratorDataset(rows, ["image", "labels", "boxes"], shuffle=False)
"""


@pytest.fixture
def old_script(tmp_path, repository, monkeypatch):
    (tmp_path / "common.py").write_text(COMMON)
    (tmp_path / "small.py").write_text(SMALL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return {"CHECKPOINT": str(repository / "configs" / "digit_network.ckpt")}


@pytest.mark.slow
def test_explainers_metrics_and_runner(old_script, tmp_path, capsys):
    exec(compile(SCRIPT, "old_script.py", "exec"), old_script)
    assert capsys.readouterr().out.split("\n")[:3] == ["(1, 1, 112, 112)", "(4, 1, 112, 112)", "(1,)"]
    assert len(list((tmp_path / "summary_dir").glob("events.summary.*_explain"))) == 1
    assert np.isfinite(old_script["saliencies"].asnumpy()).all()
    assert old_script["picture"].mode == "RGBA"


@pytest.mark.slow
def test_perturbing_explainers_uncertainty_and_hierarchical_occlusion(old_script, capsys, nearly_fewest):
    exec(compile(PERTURBING, "old_script.py", "exec"), old_script)
    assert capsys.readouterr().out.split("\n")[:2] == ["(1, 1, 56, 60) (1, 2, 56, 60)", "(1,) (1,)"]
    result = old_script["result"]
    assert result.outcomes["found"] > 0
    assert result.scores.aggregate("Gradient", "Robustness").unscored == 0
    nearly_fewest(result.costs, ragged=1)
