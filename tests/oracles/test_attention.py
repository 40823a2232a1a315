"""Methods that read attention, on small vision transformers, against torchcam and short twins of the papers."""

import mindspore as ms
import numpy as np
import pytest
import torch
import torchcam.methods
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import AttentionRelevance, AttentionRollout, LeGrad, resized

WIDTH, HEADS, PATCH, GRID, CLASSES, BLOCKS = 24, 3, 4, (8, 6), 10, 3


class Attention(nn.Cell):
    def __init__(self):
        super().__init__()
        self.project, self.join = nn.Dense(WIDTH, 3 * WIDTH), nn.Dense(WIDTH, WIDTH)

    def construct(self, x):
        images, tokens, _ = x.shape
        q, k, v = self.project(x).reshape(images, tokens, 3, HEADS, WIDTH // HEADS).transpose(2, 0, 3, 1, 4)
        weights = ops.softmax(ops.matmul(q, k.swapaxes(2, 3)) * (WIDTH // HEADS) ** -0.5, -1)
        return self.join(ops.matmul(weights, v).transpose(0, 2, 1, 3).reshape(images, tokens, WIDTH))


class Block(nn.Cell):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm((WIDTH,), epsilon=1e-5), nn.LayerNorm((WIDTH,), epsilon=1e-5)
        self.attention = Attention()
        self.mlp = nn.SequentialCell(nn.Dense(WIDTH, 40), nn.GELU(approximate=False), nn.Dense(40, WIDTH))

    def construct(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Cell):
    """Its classes are made from the mean of so many tokens before the patches, or of all tokens."""

    def __init__(self, before):
        super().__init__()
        self.before = before
        self.patch = nn.Conv2d(3, WIDTH, PATCH, PATCH, pad_mode="valid", has_bias=True)
        self.tokens = Parameter(ops.zeros((1, before, WIDTH), ms.float32)) if before else None
        self.places = Parameter(ops.zeros((1, before + GRID[0] * GRID[1], WIDTH), ms.float32))
        self.blocks = nn.CellList([Block() for _ in range(BLOCKS)])
        self.norm, self.head = nn.LayerNorm((WIDTH,), epsilon=1e-5), nn.Dense(WIDTH, CLASSES)

    def construct(self, x):
        x = self.patch(x)
        x = x.reshape(x.shape[0], WIDTH, -1).swapaxes(1, 2)
        if self.before:
            x = ops.cat((ops.tile(self.tokens, (x.shape[0], 1, 1)), x), 1)
        x = x + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, : self.before or None].mean(1))


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.self_attention = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(WIDTH, 40), torch.nn.GELU(), torch.nn.Linear(40, WIDTH))
        self.kept = None  # the probabilities, where ``attending`` keeps them

    def forward(self, x):
        y = self.norm1(x)
        x = x + (self.self_attention(y, y, y)[0] if self.kept is None else self.attended(y))
        return x + self.mlp(self.norm2(x))

    def attended(self, y):
        """The same attention, its probabilities kept."""
        module, (images, tokens, _) = self.self_attention, y.shape
        parts = torch.nn.functional.linear(y, module.in_proj_weight, module.in_proj_bias)
        q, k, v = parts.reshape(images, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5).softmax(-1)
        weights.retain_grad()
        self.kept.append(weights)
        return module.out_proj((weights @ v).transpose(1, 2).reshape(images, tokens, WIDTH))


class TorchVisionTransformer(torch.nn.Module):
    def __init__(self, before):
        super().__init__()
        self.before = before
        self.patch = torch.nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.tokens = torch.nn.Parameter(torch.zeros(1, before, WIDTH))
        self.places = torch.nn.Parameter(torch.zeros(1, before + GRID[0] * GRID[1], WIDTH))
        self.blocks = torch.nn.ModuleList([TorchBlock() for _ in range(BLOCKS)])
        self.norm, self.head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.tokens.expand(len(x), -1, -1), x), 1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, : self.before or None].mean(1))


NAMES = {
    "gamma": "weight",
    "beta": "bias",
    "attention.project.weight": "self_attention.in_proj_weight",
    "attention.project.bias": "self_attention.in_proj_bias",
    "attention.join": "self_attention.out_proj",
}


@pytest.fixture(scope="module", params=[1, 2, 0], ids=["class token", "class and distilled token", "mean"])
def transformers(request):
    """The same random weights in both frameworks."""
    rng, theirs = np.random.default_rng(11), TorchVisionTransformer(request.param).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32)))
    values, ours = theirs.state_dict(), VisionTransformer(request.param)
    for name, parameter in ours.parameters_and_names():
        parameter.set_data(Tensor(values[their_name(name)].numpy()))
    return ours.set_train(False), theirs


def their_name(name):
    for mine, other in NAMES.items():
        name = name.replace(mine, other)
    return name


def maps(explainer, sixteen):
    return explainer(Tensor(sixteen[0]), Tensor(sixteen[1].astype(np.int32))).asnumpy()[:, 0]


def on_image(network, tokens):
    """Maps (N, 32, 24) of what is said of all tokens (N, T)."""
    tokens = tokens.detach().numpy() if isinstance(tokens, torch.Tensor) else tokens
    return resized(np.ascontiguousarray(tokens[:, network.before :]).reshape(-1, *GRID), (32, 24))


def attending(network, sixteen):
    """The probabilities (N, heads, T, T) of all blocks, and their gradients."""
    for block in network.blocks:
        block.kept = []
    logits = network(torch.tensor(sixteen[0]))
    logits[torch.arange(len(logits)), torch.tensor(sixteen[1])].sum().backward()
    kept = [block.kept[0] for block in network.blocks]
    for block in network.blocks:
        block.kept = None
    return [one.detach() for one in kept], [one.grad for one in kept]


def read(network, relevance):
    """The mean of the rows (N, T) of the tokens that classes are made from, of (N, T, T)."""
    return relevance[:, : network.before or None].mean(1)


def test_logits(transformers, sixteen):
    ours, theirs = transformers
    with torch.no_grad():
        expected = theirs(torch.tensor(sixteen[0])).numpy()
    np.testing.assert_allclose(ours(Tensor(sixteen[0])).asnumpy(), expected, atol=1e-4)


@pytest.mark.parametrize("first", [0, 1])
def test_legrad(transformers, sixteen, agree, first):
    ours, theirs = transformers
    blocks = list(range(first, BLOCKS))
    with torchcam.methods.LeGrad(
        theirs,
        [f"blocks.{number}" for number in blocks],
        score_projection=lambda tokens: theirs.head(theirs.norm(tokens.mean(1))),
        prefix_tokens=theirs.before,
        grid_shape=GRID,
    ) as extract:
        (found,) = extract(sixteen[1].tolist(), theirs(torch.tensor(sixteen[0])), normalized=False)
    mine = maps(LeGrad(ours, [f"blocks.{number}" for number in blocks]), sixteen)
    agree("LeGrad", "torchcam LeGrad", mine, resized(found.detach().numpy(), (32, 24)), how="resized")


def test_rollout(transformers, sixteen, agree):
    ours, theirs = transformers
    rollout = torch.eye(theirs.places.shape[1])
    for probabilities in attending(theirs, sixteen)[0]:
        mixing = probabilities.mean(1) / 2 + torch.eye(len(rollout[-1])) / 2
        rollout = mixing @ rollout
    expected = on_image(theirs, read(theirs, rollout))
    agree("AttentionRollout", "the paper's formula in PyTorch", maps(AttentionRollout(ours), sixteen), expected)


def test_relevance(transformers, sixteen, agree):
    ours, theirs = transformers
    relevance = torch.eye(theirs.places.shape[1])
    for probabilities, gradients in zip(*attending(theirs, sixteen), strict=True):
        relevance = relevance + (probabilities * gradients).clamp(min=0).mean(1) @ relevance
    expected = on_image(theirs, read(theirs, relevance))
    agree("AttentionRelevance", "the paper's formula in PyTorch", maps(AttentionRelevance(ours), sixteen), expected)
