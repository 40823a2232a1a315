"""Monte Carlo dropout: which layers act, whose masks, and what the samples say."""

import numpy as np
import pytest
from mindspore import Tensor, mint, nn
from scipy import stats

from explainrun.explainers import Network
from explainrun.explainers.dropout import spread


class Dropping(nn.Cell):
    """Logit = the sum over channels of what passes the dropout; batch norm has flags and statistics to keep."""

    def __init__(self, dropout, dense=True):
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.drop = dropout
        self.head = nn.Dense(8, 1, has_bias=False) if dense else None
        if dense:
            self.head.weight.set_data(Tensor(np.ones((1, 8), np.float32)))

    def construct(self, x):
        x = self.norm(x)
        x = self.drop(x) if self.drop is not None else x
        x = x.reshape(x.shape[0], -1)
        return x.sum(1, keepdims=True) if self.head is None else self.head(x)


def images(count):
    return np.ones((count, 4, 1, 2), np.float32)


def generators(ids):
    return [np.random.default_rng(i) for i in ids]


def drawn(dropout, samples=400, dense=True):
    cell = Dropping(dropout, dense)
    return Network(cell).dropout_logits(images(1), generators([0]), samples)[:, 0, 0]


# Eight ones of which each passes with probability 1 - p and then counts 1 / (1 - p): mean 8, variance 8 p / (1 - p).
@pytest.mark.parametrize(
    ("dropout", "sd"),
    [
        (nn.Dropout(p=0.5), 8**0.5),
        (nn.Dropout(p=0.2), 2**0.5),
        (mint.nn.Dropout(0.5), 8**0.5),
        (nn.Dropout2d(p=0.5), 4.0),  # whole channels of two: 4 of them, each counting 4
        (None, 8**0.5),  # put before the dense layer, at rate 0.5
    ],
    ids=["half", "fifth", "mint", "channels", "none"],
)
def test_mean_and_deviation_are_those_of_the_rate(dropout, sd):
    values = drawn(dropout)
    assert values.mean() == pytest.approx(8, abs=4 * sd / 400**0.5)
    assert values.std() == pytest.approx(sd, rel=0.15)


def test_rate_zero_changes_nothing():
    values = drawn(nn.Dropout(p=0.0), 5)
    assert len(set(values.tolist())) == 1
    found = spread(np.full((5, 1, 2), 0.25))
    assert (found.sd.tolist(), found.low.tolist(), found.high.tolist()) == ([[0, 0]], [[0.25] * 2], [[0.25] * 2])


def test_masks_are_the_images_own(state):
    cell = Dropping(nn.Dropout(p=0.3))
    cell.set_train(True)
    before = state(cell)
    network = Network(cell, pass_size=4, fill=True)
    together = network.dropout_logits(images(6), generators(range(6)), 7)
    assert together.shape == (7, 6, 1)
    assert np.array_equal(network.dropout_logits(images(1), generators([5]), 7)[:, 0], together[:, 5])
    assert len({tuple(together[:, i, 0]) for i in range(6)}) == 6
    assert dict(network.passes.made) == {"dropout": 14 + 7}
    assert state(cell) == before


def test_what_drops_in_unknown_ways_is_refused():
    class AlphaDropout(nn.Cell):
        def construct(self, x):
            return x

    with pytest.raises(ValueError, match=r"uncertainty does not know how layer 'drop' \(AlphaDropout\) drops"):
        drawn(AlphaDropout(), 2)
    with pytest.raises(ValueError, match="uncertainty needs a dropout layer, or a dense one"):
        drawn(None, 2, dense=False)


def test_intervals_are_betas_where_one_fits_and_quantiles_where_none_does():
    rng = np.random.default_rng(0)
    values = np.stack([rng.beta(6, 2, 4000), rng.integers(0, 2, 4000).astype(float)], axis=1)[:, None]
    found = spread(values)
    assert found.sd[0, 0] == pytest.approx(stats.beta(6, 2).std(), rel=0.05)
    assert found.low[0, 0] == pytest.approx(stats.beta(6, 2).ppf(0.025), rel=0.05)
    assert found.high[0, 0] == pytest.approx(stats.beta(6, 2).ppf(0.975), rel=0.01)
    assert (found.low[0, 1], found.high[0, 1]) == (0, 1)  # only 0 and 1: the variance is m (1 - m)
    assert found.sd[0, 1] == pytest.approx(0.5, abs=0.01)
