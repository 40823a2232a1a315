"""Which layer is read where none was named, of networks that are built in other ways than a chain of convolutions."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

from explainrun.explainers import DeepFeatureFactorization, EigenCAM, GradCAM, Gradient, Network, NoiseTunnel, ScoreCAM
from explainrun.explainers.core.automatic_layer import ChosenLayer, automatic_layer
from explainrun.explainers.core.layout import has_channels_last, proportional, token_grid
from explainrun.explainers.network.input_channels import input_channels

SIZE = (4, 6)  # of images; patches of 2 x 2 make a grid of 2 x 3
GRID = (2, 3)


def conv(taken, given, side=1, stride=1):
    return nn.Conv2d(taken, given, side, stride, pad_mode="valid", has_bias=True)


def chosen(network, channels=1, size=SIZE, **options):
    return automatic_layer(Network(network), np.ones((channels, *size), np.float32), **options)


def pictures(count=2):
    return Tensor(np.random.default_rng(3).normal(size=(count, 1, *SIZE)).astype(np.float32))


class Branches(nn.Cell):
    """Two convolutions side by side, below one another in channels; the later one alone is not what they give."""

    def __init__(self, channels):
        super().__init__()
        self.first, self.second = conv(channels, 2), conv(channels, 3)

    def construct(self, x):
        return ops.cat((self.first(x), self.second(x)), 1)


class Inception(nn.Cell):
    def __init__(self):
        super().__init__()
        self.stem = conv(1, 2, 2, 2)
        self.mixed = Branches(2)
        self.head = nn.Dense(5, 2)

    def construct(self, x):
        return self.head(self.mixed(self.stem(x)).mean((2, 3)))


class Dense(nn.Cell):
    """A layer's output beside its input, twice, so that channels grow."""

    def __init__(self):
        super().__init__()
        self.one, self.two = conv(2, 2), conv(4, 3)

    def construct(self, x):
        x = ops.cat((x, self.one(x)), 1)
        return ops.cat((x, self.two(x)), 1)


def test_of_branches_the_layer_around_them_is_chosen():
    assert chosen(Inception()) == ChosenLayer("mixed")
    densenet = nn.SequentialCell(conv(1, 2, 2, 2), Dense(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dense(7, 2))
    assert chosen(densenet) == ChosenLayer("1")


def test_maps_of_a_block_hold_all_its_branches():
    network, inputs = Inception(), pictures()
    weights, block = (Tensor(values.astype(np.float32)) for values in (np.arange(10).reshape(2, 5) - 4.0, np.ones(3)))
    network.head.weight.set_data(weights)
    network.mixed.second.bias.set_data(block)
    features = network.mixed(network.stem(inputs)).asnumpy()
    expected = np.einsum("k,nkhw->nhw", (np.arange(5) + 1) / 6, features).clip(min=0)  # of label 1, over 6 places
    found = GradCAM(network).layer_maps(inputs, 1)
    np.testing.assert_allclose(found["mixed"].asnumpy()[:, 0], expected, rtol=1e-5, atol=1e-6)


class DefinedLast(nn.Cell):
    """Layers in the reverse order of their definition."""

    def __init__(self):
        super().__init__()
        self.head, self.deep, self.stem = nn.Dense(3, 2), conv(6, 3), conv(1, 6, 2, 2)

    def construct(self, x):
        return self.head(self.deep(self.stem(x)).mean((2, 3)))


def test_the_order_is_that_of_running():
    assert chosen(DefinedLast()) == ChosenLayer("deep")


class Masked(nn.Cell):
    """Features under a mask of one channel, which runs last."""

    def __init__(self):
        super().__init__()
        self.features, self.mask, self.head = (
            conv(1, 3, 2, 2),
            nn.SequentialCell(conv(3, 1), nn.Sigmoid()),
            nn.Dense(3, 2),
        )

    def construct(self, x):
        x = self.features(x)
        return self.head((x * self.mask(x)).mean((2, 3)))


class MaskedChannelsLast(Masked):
    """The same with the channels moved to the end, by functions alone."""

    def __init__(self):
        super().__init__()
        self.features, self.mask = Matrix(4, 3), Matrix(3, 1)

    def construct(self, x):
        x = self.features(patches(x))
        return self.head((x * self.mask(x)).mean((1, 2)))


class Matrix(nn.Cell):
    """A matrix product over the last axis, of no class that is known."""

    def __init__(self, taken, given):
        super().__init__()
        values = np.random.default_rng(taken + given).normal(size=(taken, given)).astype(np.float32)
        self.weight = Parameter(Tensor(values), name="weight")

    def construct(self, x):
        return ops.matmul(x, self.weight)


def patches(x):
    """Images (N, 1, H, W) as (N, H / 2, W / 2, 4)."""
    rows, _, height, width = x.shape
    cut = x.reshape(rows, height // 2, 2, width // 2, 2).transpose(0, 1, 3, 2, 4)
    return cut.reshape(rows, height // 2, width // 2, 4)


def test_a_mask_of_one_channel_is_not_chosen():
    assert chosen(Masked()) == ChosenLayer("features")
    assert chosen(MaskedChannelsLast()) == ChosenLayer("features", GRID)


class Swin(nn.Cell):
    """A block over (N, h, w, channels), its norm, and the mean of places."""

    def __init__(self):
        super().__init__()
        self.embed, self.block, self.norm, self.head = (
            conv(1, 5, 2, 2),
            nn.Dense(5, 5),
            nn.LayerNorm((5,)),
            nn.Dense(5, 2),
        )

    def construct(self, x):
        x = self.embed(x).transpose(0, 2, 3, 1)
        return self.head(self.norm(x + self.block(x)).mean((1, 2)))


def test_channels_that_come_last_are_noticed():
    network, inputs = Swin(), pictures()
    assert chosen(network) == ChosenLayer("norm", GRID)
    maps = GradCAM(network).layer_maps(inputs, 1)["norm"].asnumpy()
    assert maps.shape == (2, 1, *GRID)
    x = network.embed(inputs).transpose(0, 2, 3, 1)
    features, weights = network.norm(x + network.block(x)).asnumpy(), network.head.weight.asnumpy()[1]
    np.testing.assert_allclose(maps[:, 0], (features @ weights / 6).clip(min=0), rtol=1e-4, atol=1e-6)


class Attention(nn.Cell):
    def __init__(self, width):
        super().__init__()
        self.qkv, self.dropped, self.proj = nn.Dense(width, 3 * width), nn.Softmax(-1), nn.Dense(width, width)

    def construct(self, x):
        rows, tokens, width = x.shape
        query, key, value = self.qkv(x).reshape(rows, tokens, 3, 2, width // 2).transpose(2, 0, 3, 1, 4)
        attended = ops.matmul(self.dropped(ops.matmul(query, key.swapaxes(2, 3))), value)  # (N, 2, T, T) times values
        return self.proj(attended.swapaxes(1, 2).reshape(rows, tokens, width))


class Block(nn.Cell):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm((width,)), Attention(width)
        self.norm2, self.mlp = nn.LayerNorm((width,)), nn.Dense(width, width)

    def construct(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Cell):
    """Patches behind leading tokens, two blocks; the head reads the leading tokens, or the mean of all."""

    def __init__(self, leading=1, mean=False, width=4, keep=None):
        super().__init__()
        self.embed, self.blocks = conv(1, width, 2, 2), nn.SequentialCell(Block(width), Block(width))
        self.norm, self.head = nn.LayerNorm((width,)), nn.Dense(width, 2)
        values = np.random.default_rng(0).normal(size=(1, leading, width)).astype(np.float32)
        self.leading, self.mean, self.keep = Parameter(Tensor(values), name="leading"), mean, keep

    def construct(self, x):
        x = self.embed(x)
        x = x.reshape(*x.shape[:2], -1).swapaxes(1, 2)[:, : self.keep]
        count = self.leading.shape[1]
        x = self.norm(self.blocks(ops.cat((self.leading.broadcast_to((len(x), -1, -1)), x), 1)))
        return self.head(x.mean(1) if self.mean else x[:, :count].mean(1))


@pytest.mark.parametrize("leading", [1, 2])  # a class token, and one of distillation beside it
def test_of_tokens_of_which_the_class_token_counts_the_input_of_the_last_attention_is_chosen(leading):
    network = Transformer(leading)
    assert chosen(network) == ChosenLayer("blocks.1.norm1", GRID)
    automatic, named = GradCAM(network), GradCAM(network, "blocks.1.norm1", reshape=GRID)
    maps = automatic(pictures(), 1).asnumpy()
    assert maps.any()
    np.testing.assert_array_equal(maps, named(pictures(), 1).asnumpy())


def test_of_tokens_that_all_count_the_last_are_chosen():
    assert chosen(Transformer(mean=True)) == ChosenLayer("norm", GRID)


def test_tokens_without_a_grid_are_refused(raising):
    for network in (
        Transformer(leading=3, mean=True),
        Transformer(mean=True, keep=4),
    ):  # as many as a row; some left out
        with raising(
            ValueError, "tokens-without-grid", layer="norm", shape=(network.leading.shape[1] + (network.keep or 6), 4)
        ):
            chosen(network)


def test_a_reshape_of_the_users_decides_which_layer_suits():
    network = Transformer(leading=3, mean=True)
    last = lambda tokens: tokens[:, 3:].reshape(-1, *GRID, 4).transpose(0, 3, 1, 2)  # noqa: E731
    assert chosen(network, reshape=last) == ChosenLayer("norm")
    assert GradCAM(network, reshape=last).layer_maps(pictures(), 1)["norm"].shape == (2, 1, *GRID)
    assert chosen(Transformer(mean=True), reshape=GRID) == ChosenLayer("norm")


def test_a_reshape_that_suits_no_layer_is_refused(raising):
    with raising(ValueError, "no-feature-maps"):
        chosen(Transformer(), reshape=(5, 5))


def test_attention_that_is_no_share_is_not_chosen_inside_tokens():
    class Around(nn.Cell):
        """Tokens, within which scores (N, 2, 6, 6) come last."""

        def __init__(self):
            super().__init__()
            self.scored, self.inner = nn.ReLU(), nn.Dense(4, 4)

        def construct(self, x):
            x = self.inner(x)
            scores = self.scored(ops.matmul(x, x.swapaxes(1, 2))[:, None].broadcast_to((-1, 2, -1, -1)))
            return ops.matmul(scores, x[:, None]).mean(1).mean(1, True)  # one token

    class Pooled(nn.Cell):
        def __init__(self):
            super().__init__()
            self.embed, self.around, self.head = conv(1, 4, 2, 2), Around(), nn.Dense(4, 2)

        def construct(self, x):
            return self.head(self.around(self.embed(x).reshape(len(x), 4, -1).swapaxes(1, 2))[:, 0])

    assert chosen(Pooled()).name != "around.scored"


class Aside(nn.Cell):
    """A branch that runs last and does not reach the logits, as auxiliary heads do outside training."""

    def __init__(self):
        super().__init__()
        self.features, self.auxiliary, self.head = conv(1, 3, 2, 2), conv(3, 4), nn.Dense(3, 2)

    def construct(self, x):
        x = self.features(x)
        self.auxiliary(x)
        return self.head(x.mean((2, 3)))


def test_what_does_not_reach_the_logits_is_not_chosen():
    assert chosen(Aside()) == ChosenLayer("features")


def test_a_head_of_zeros_hides_nothing():
    network = DefinedLast()
    network.head.weight.set_data(Tensor(np.zeros((2, 3), np.float32)))
    assert chosen(network) == ChosenLayer("deep")


class Queries(nn.Cell):
    """Convolutions, then five vectors made of them, which are no places."""

    def __init__(self):
        super().__init__()
        self.features = nn.SequentialCell(conv(1, 3, 2, 2), nn.ReLU(), conv(3, 4))
        self.queries, self.head = nn.Dense(6, 5), nn.Dense(4, 2)

    def construct(self, x):
        x = self.features(x)
        return self.head(self.queries(x.reshape(*x.shape[:2], -1)).swapaxes(1, 2).mean(1))


def test_vectors_that_are_no_places_leave_the_convolutions():
    assert chosen(Queries()) == ChosenLayer("features")


class Strict(Inception):
    """Takes images without negative pixels alone."""

    def construct(self, x):
        if float(x.min()) < 0:
            raise ValueError("negative pixels")
        return super().construct(x)


def test_where_the_fixed_images_are_refused_the_given_one_is_looked_at():
    network = Network(Strict())
    assert automatic_layer(network, np.ones((1, *SIZE), np.float32)) == ChosenLayer("mixed")
    assert dict(network.passes.made) == {"layer choice": 1}


@pytest.mark.parametrize("values", [0.0, 1e30])
def test_the_choice_does_not_depend_on_the_image(values):
    assert automatic_layer(Network(Inception()), np.full((1, *SIZE), values, np.float32)) == ChosenLayer("mixed")


def test_methods_of_all_kinds_read_tokens_and_channels_last():
    for network, layer in ((Transformer(), "blocks.1.norm1"), (Swin(), "norm")):
        for method in (EigenCAM, ScoreCAM, DeepFeatureFactorization):
            [maps] = method(network).layer_maps(pictures(), 1).values()
            assert maps.shape == (2, 1, *GRID)
            [named] = method(network, layer, reshape=GRID).layer_maps(pictures(), 1).values()
            np.testing.assert_array_equal(maps.asnumpy(), named.asnumpy())
        tunnels = [
            NoiseTunnel(inner, nt_samples=2) for inner in (GradCAM(network), GradCAM(network, layer, reshape=GRID))
        ]
        np.testing.assert_array_equal(*(tunnel(pictures(), 1).asnumpy() for tunnel in tunnels))
        assert DeepFeatureFactorization(network).factorize(pictures(1))[0].logits.shape[1] == 2


EXPLICIT = [
    (Transformer, "blocks.0", "layer-tokens-on-grid", {"shape": (2, 7, 4), "grid": GRID}),
    (Transformer, "blocks.1.attn.dropped", "layer-attention", {"shape": (2, 2, 7, 7)}),
    (Swin, "norm", "layer-channels-last", {"shape": (2, 2, 3, 5), "grid": GRID}),
    (MaskedChannelsLast, "features", "layer-channels-last", {"shape": (2, 2, 3, 3), "grid": GRID}),
    (Inception, "head", "layer-shape", {"shape": (2, 2)}),
]


@pytest.mark.parametrize(("kind", "layer", "code", "values"), EXPLICIT)
def test_a_layer_that_is_named_and_gives_something_else_is_refused(kind, layer, code, values, raising):
    network = kind()
    for method in (GradCAM, EigenCAM):
        with raising(ValueError, code, layer=layer, **values):
            method(network, layer)(pictures(), 1)
    with raising(ValueError, code, layer=layer):  # whose outputs are looked at one image at a time
        ScoreCAM(network, layer)(pictures(), 1)


def test_a_function_may_bring_anything_forward():
    moved = GradCAM(Swin(), "norm", reshape=lambda values: values.transpose(0, 3, 1, 2))
    assert moved.layer_maps(pictures(), 1)["norm"].shape == (2, 1, *GRID)
    kept = GradCAM(Transformer(), "blocks.1.attn.dropped", reshape=lambda values: values)
    assert kept.layer_maps(pictures(), 1)["blocks.1.attn.dropped"].shape == (2, 1, 7, 7)


def test_gradient_explainers_look_for_no_layer():
    assert Gradient(Transformer(leading=3, mean=True))(pictures(), 1).shape == (2, 1, *SIZE)


@pytest.mark.parametrize(
    ("tokens", "seen", "grid"),
    [
        (7, [(2, 3)], (2, 3)),  # one before them
        (8, [(2, 3)], (2, 3)),
        (9, [(2, 3)], None),  # as many before them as a row has
        (6, [(4, 6)], (2, 3)),  # merged two by two
        (50, [(56, 56)], (7, 7)),
        (49, [(14, 14), (7, 7)], (7, 7)),
        (12, [(5, 7)], (3, 4)),  # merged, with padding
        (12, [], (2, 6)),  # of an image of 4 x 12, its patches of 2 x 2
        (5, [(1, 1)], None),
        (100, [(7, 7)], None),
    ],
)
def test_grids_of_tokens(tokens, seen, grid):
    assert token_grid(tokens, seen, (4, 12)) == grid


@pytest.mark.parametrize(
    ("grid", "size", "fits"),
    [((7, 7), (224, 224), True), ((7, 768), (224, 224), False), ((8, 8), (299, 299), True), ((2, 3), (4, 6), True),
     ((3, 2), (4, 12), False), ((35, 71), (299, 600), True), ((64, 1), (64, 64), False)],
)  # fmt: skip
def test_grids_in_the_proportions_of_the_image(grid, size, fits):
    assert proportional(grid, size) == fits


def test_channels_last_goes_by_classes_before_shapes():
    assert has_channels_last((1, 7, 7, 64), None, (224, 224))
    assert not has_channels_last((1, 7, 7, 64), "first", (224, 224))
    assert not has_channels_last((1, 64, 7, 7), None, (224, 224))
    assert has_channels_last((1, 64, 7, 7), "last", (224, 224))
    assert not has_channels_last((1, 7, 7, 7), None, (224, 224))  # which says nothing


class SpaceToDepth(nn.Cell):
    """A stem that takes what a function makes of the image, beside a convolution that never runs."""

    def __init__(self):
        super().__init__()
        self.idle, self.stem, self.head = conv(6, 2), conv(12, 3), nn.Dense(3, 2)

    def construct(self, x):
        x = ops.pixel_unshuffle(x, 2)
        return self.head(self.stem(x).mean((2, 3)))


class OfOneSize(DefinedLast):
    """Takes images of one size."""

    def construct(self, x):
        if x.shape[2:] != (6, 9):
            raise ValueError("another size")
        return super().construct(x)


class NoConvolution(nn.Cell):
    def construct(self, x):
        return x.mean((2, 3))


@pytest.mark.parametrize(
    ("network", "channels"),
    [(DefinedLast, 1), (SpaceToDepth, 3), (lambda: nn.SequentialCell(conv(4, 2), NoConvolution()), 4),
     (lambda: nn.SequentialCell(conv(7, 2), NoConvolution()), 7), (NoConvolution, None),
     (OfOneSize, 6)],
)  # fmt: skip
def test_channels_of_images_are_what_runs_first_takes(network, channels):
    made = network()
    assert input_channels(made, (3, 1, 4), SIZE) == channels
    assert not any(cell._forward_pre_hook for _, cell in made.cells_and_names())


class Unpacking(nn.Cell):
    """Unpacks tensors, which MindSpore cannot do after a differentiated pass that failed, unless that is cleared."""

    def __init__(self):
        super().__init__()
        self.pair, self.head = Pair(), nn.Dense(2, 2)

    def construct(self, x):
        first, second = self.pair(x).mean((2, 3, 4))
        return self.head(ops.stack((first, second), 1))


class Pair(nn.Cell):
    def construct(self, x):
        return ops.stack((x, 2 * x))


def test_a_pass_that_fails_spoils_no_later_one():
    network = Unpacking()
    expected = Gradient(network)(pictures(), 1).asnumpy()

    class Failing(nn.Cell):
        def construct(self, x):
            raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        Gradient(Failing())(pictures(), 1)
    np.testing.assert_array_equal(Gradient(network)(pictures(), 1).asnumpy(), expected)
