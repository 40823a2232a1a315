"""A small vision transformer in both frameworks, with the same random weights."""

import mindspore as ms
import numpy as np
import torch
from mindspore import Parameter, Tensor, nn, ops

WIDTH, HEADS, PATCH, GRID, CLASSES, BLOCKS = 24, 3, 4, (8, 6), 10, 2


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
