"""CAM methods on a small vision transformer, its tokens brought to a grid, against torchcam and grad-cam."""

import mindspore as ms
import numpy as np
import pytest
import torch
import torchcam.methods
from mindspore import Parameter, Tensor, nn, ops
from pytorch_grad_cam import GradCAM as TheirGradCAM
from pytorch_grad_cam import HiResCAM as TheirHiResCAM
from pytorch_grad_cam import LayerCAM as TheirLayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from explainrun.explainers import (
    ISCAM,
    SSCAM,
    AblationCAM,
    EigenCAM,
    GradCAM,
    GradCAMpp,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    SmoothGradCAMpp,
    XGradCAM,
)

WIDTH, HEADS, PATCH, GRID, CLASSES, BLOCKS = 24, 3, 4, (8, 6), 10, 2
LAYER = "blocks.1.norm1"


class Block(nn.Cell):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm((WIDTH,), epsilon=1e-5), nn.LayerNorm((WIDTH,), epsilon=1e-5)
        self.qkv, self.proj = nn.Dense(WIDTH, 3 * WIDTH), nn.Dense(WIDTH, WIDTH)
        self.fc1, self.fc2, self.gelu = nn.Dense(WIDTH, 40), nn.Dense(40, WIDTH), nn.GELU(approximate=False)

    def construct(self, x):
        images, tokens, _ = x.shape
        parts = self.qkv(self.norm1(x)).reshape(images, tokens, 3, HEADS, WIDTH // HEADS).transpose(2, 0, 3, 1, 4)
        weights = ops.softmax(ops.matmul(parts[0], parts[1].swapaxes(2, 3)) / (WIDTH // HEADS) ** 0.5, -1)
        x = x + self.proj(ops.matmul(weights, parts[2]).transpose(0, 2, 1, 3).reshape(images, tokens, WIDTH))
        return x + self.fc2(self.gelu(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Cell):
    def __init__(self):
        super().__init__()
        tokens = GRID[0] * GRID[1] + 1
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, pad_mode="valid", has_bias=True)
        self.token = Parameter(ops.zeros((1, 1, WIDTH), ms.float32))
        self.places = Parameter(ops.zeros((1, tokens, WIDTH), ms.float32))
        self.blocks = nn.CellList([Block() for _ in range(BLOCKS)])
        self.norm, self.head = nn.LayerNorm((WIDTH,), epsilon=1e-5), nn.Dense(WIDTH, CLASSES)

    def construct(self, x):
        x = self.patch(x)
        x = x.reshape(x.shape[0], WIDTH, -1).swapaxes(1, 2)
        x = ops.cat((ops.tile(self.token, (x.shape[0], 1, 1)), x), 1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.qkv, self.proj = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.fc1, self.fc2, self.gelu = torch.nn.Linear(WIDTH, 40), torch.nn.Linear(40, WIDTH), torch.nn.GELU()

    def forward(self, x):
        images, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(images, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(mixed.transpose(1, 2).reshape(images, tokens, WIDTH))
        return x + self.fc2(self.gelu(self.fc1(self.norm2(x))))


class TorchVisionTransformer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = torch.nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.places = torch.nn.Parameter(torch.zeros(1, GRID[0] * GRID[1] + 1, WIDTH))
        self.blocks = torch.nn.ModuleList([TorchBlock() for _ in range(BLOCKS)])
        self.norm, self.head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.token.expand(len(x), -1, -1), x), 1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


@pytest.fixture(scope="module")
def transformers():
    """The same random weights in both frameworks."""
    rng, theirs = np.random.default_rng(11), TorchVisionTransformer().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    ours, names = VisionTransformer(), {"gamma": "weight", "beta": "bias"}
    values = theirs.state_dict()
    for name, parameter in ours.parameters_and_names():
        owner, _, kind = name.rpartition(".")
        parameter.set_data(Tensor(values[f"{owner}.{names.get(kind, kind)}".lstrip(".")].numpy()))
    return ours.set_train(False), theirs


def on_grid(tokens):
    return tokens[:, 1:].reshape(len(tokens), *GRID, WIDTH).permute(0, 3, 1, 2)


def test_logits(transformers, sixteen):
    ours, theirs = transformers
    with torch.no_grad():
        expected = theirs(torch.tensor(sixteen[0])).numpy()
    np.testing.assert_allclose(ours(Tensor(sixteen[0])).asnumpy(), expected, atol=1e-4)


def maps(explainer, sixteen):
    (found,) = explainer.layer_maps(Tensor(sixteen[0]), Tensor(sixteen[1].astype(np.int32))).values()
    return found.asnumpy()[:, 0]


def compared(agree, method, library, mine, theirs):
    there = theirs.max(axis=(1, 2)) > 1e-4
    assert there.sum() >= 8
    agree(method, library, mine[there], theirs[there], how="tokens of a transformer")


@pytest.mark.parametrize("method", [GradCAM, XGradCAM, LayerCAM])
def test_torchcam(transformers, sixteen, method, agree):
    ours, theirs = transformers
    of_theirs = getattr(torchcam.methods, method.__name__)
    with of_theirs(theirs, LAYER, input_shape=(3, 32, 24), reshape_transform=on_grid) as extract:
        (found,) = extract(sixteen[1].tolist(), theirs(torch.tensor(sixteen[0])), normalized=False)
    mine = maps(method(ours, LAYER, reshape=GRID), sixteen)
    compared(agree, method.__name__, f"torchcam {method.__name__}", mine, found.detach().numpy())


@pytest.mark.parametrize(
    ("method", "theirs"), [(GradCAM, TheirGradCAM), (HiResCAM, TheirHiResCAM), (LayerCAM, TheirLayerCAM)]
)
def test_grad_cam(transformers, sixteen, method, theirs, agree):
    network, torch_network = transformers
    targets = [ClassifierOutputTarget(label) for label in sixteen[1].tolist()]
    with theirs(torch_network, [torch_network.get_submodule(LAYER)], reshape_transform=on_grid) as cam:
        found = []
        weigh = cam.get_cam_image
        cam.get_cam_image = lambda *arguments: found.append(weigh(*arguments)) or found[-1]
        cam(torch.tensor(sixteen[0]), targets=targets)
    mine = maps(method(network, LAYER, reshape=GRID), sixteen)
    compared(agree, method.__name__, f"grad-cam {theirs.__name__}", mine.clip(min=0), np.maximum(found[0], 0))


@pytest.mark.parametrize("method", [GradCAMpp, EigenCAM, ScoreCAM, SSCAM, ISCAM, AblationCAM, SmoothGradCAMpp])
def test_all_of_the_family_take_tokens(transformers, sixteen, method):
    options = {"num_samples": 2} if method in (SSCAM, ISCAM, SmoothGradCAMpp) else {}
    images, labels = (of[:2] for of in sixteen)
    found = method(transformers[0], LAYER, reshape=GRID, **options)(Tensor(images), labels).asnumpy()
    assert found.shape == (2, 1, 32, 24)
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=(2, 3)).max() > 0
