"""Focus by hand, on mosaics of images that are bright in their class's channel."""

import h5py
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from explainrun.benchmarks import Explanation, Focus
from explainrun.explainers import Gradient, InputXGradient, Network, RandomMap, View
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.runner.grown_folder import scored_folder
from explainrun.summary_format import merge

SIZE = (4, 6)
CLASSES = 3


class ChannelSums(nn.Cell):
    """Logit k weighs the sums of the channels."""

    def __init__(self, weights):
        super().__init__()
        self.weights = ms.Parameter(Tensor(np.asarray(weights, np.float32)))
        self.calls = []

    def construct(self, x):
        self.calls.append(x.shape[0])
        return ops.matmul(x.sum((2, 3)), self.weights.T)


def images_of(labels, size=SIZE, dark=0.0):
    """Images that are about 1 in the channel of their label and as dark elsewhere; no two are alike."""
    images = np.full((len(labels), CLASSES, *size), dark, np.float32)
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        image[label] = 1.0 + place / 1024
    return images


LABELS = np.array([0, 1, 2, 0, 1, 2])
PARTNERS = (images_of(LABELS[::-1]) + np.float32(1 / 4096), LABELS[::-1].copy())
NETWORK = """\
from mindspore import nn


class Sums(nn.Cell):
    def construct(self, x):
        return x.sum((2, 3))


def net():
    return nn.SequentialCell(Sums())
"""
CONFIG = """\
summary_dir: {folder}/run
network: {{factory: 'net.py:net'}}
activation: softmax
data: {{npz: data.npz}}
class_names: [a, b, c]
explainers: [InputXGradient]
jit: 'off'
labels: truth
metrics:
  - {entry}
"""
SEES, BLIND = np.eye(CLASSES), 1 - np.eye(CLASSES)


def focus(weights, images=None, partners=PARTNERS, kind=InputXGradient):
    images = images_of(LABELS) if images is None else images
    return Focus(partners).evaluate(kind(ChannelSums(weights)), Tensor(images), LABELS)


def test_best_and_worst():
    grown = PARTNERS[0] - np.float32(1 / 4096), PARTNERS[1]
    for size in (SIZE, (5, 7)):  # of an odd height the quarters differ
        images = images_of(LABELS, size)
        assert focus(SEES, images, grown) == pytest.approx([1] * 6, abs=1e-6)
        assert focus(BLIND, images, grown) == pytest.approx([0] * 6, abs=1e-6)


def test_by_hand():
    """A quarter each, 3 in the label's channel where it is and 1 where it is not: (3 + 3) / (3 + 3 + 1 + 1)."""
    images = np.ones((6, CLASSES, *SIZE), np.float32)
    images[np.arange(6), LABELS] = 3
    images[:, :, 0, 0] += np.arange(6, dtype=np.float32)[:, None] / 1e4  # so that none is put beside itself
    found = focus(SEES, images, (images, LABELS))
    assert found == pytest.approx([6 / 8] * 6, abs=1e-4)


def test_a_map_that_knows_nothing_gets_half():
    assert focus(SEES, kind=Gradient) == pytest.approx([0.5] * 6)  # the same everywhere
    many = [focus(SEES, kind=lambda cell: RandomMap(cell, name=f"r{n}")).mean() for n in range(20)]  # noqa: B023
    assert np.mean(many) == pytest.approx(0.5, abs=0.05)


def test_scaling_a_map_changes_nothing():
    assert focus(1e6 * SEES) == pytest.approx(focus(SEES), abs=1e-6)


def mosaics(partners, ids, seed=0, labels=LABELS):
    images, rows = images_of(labels), np.arange(len(labels))
    view = View(Network(ChannelSums(SEES)), images, rows, labels, sample_ids=np.asarray(ids), seed=seed)
    return [Focus(partners).gallery.mosaic(view, question) for question in rows]


def test_a_mosaic_is_of_two_and_two():
    for (image, wanted), own, label in zip(mosaics(PARTNERS, range(6)), images_of(LABELS), LABELS, strict=True):
        quarters = [image[:, top : top + 2, left : left + 3] for top in (0, 2) for left in (0, 3)]
        assert [quarter.argmax() // 6 == label for quarter in quarters].count(True) == 2
        assert sum((quarter == own[:, :2, :3]).all() for quarter in quarters) == 1
        assert wanted.sum() == wanted.size / 2
        assert (image[label][wanted] >= 1).all()
        assert (image[label][~wanted] < 0.5).all()


def test_partners_are_drawn_by_seed_sample_id_and_label_alone():
    first = mosaics(PARTNERS, [4, 9, 2, 7, 5, 3])
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, mosaics(PARTNERS, [4, 9, 2, 7, 5, 3]), strict=True))
    # The questions of samples 9 and 2 alone: the same mosaics (their images are made of their labels and places).
    labels, images = LABELS[[1, 2]], images_of(LABELS)[[1, 2]]
    view = View(Network(ChannelSums(SEES)), images, np.array([0, 1]), labels, sample_ids=np.array([9, 2]))
    for question in (0, 1):
        assert np.array_equal(Focus(PARTNERS).gallery.mosaic(view, question)[0], first[1 + question][0])
    differ = [not np.array_equal(a[0], b[0]) for a, b in zip(first, mosaics(PARTNERS, range(6)), strict=True)]
    assert sum(differ) >= 3
    differ = [
        not np.array_equal(a[0], b[0]) for a, b in zip(first, mosaics(PARTNERS, [4, 9, 2, 7, 5, 3], 1), strict=True)
    ]
    assert sum(differ) >= 3


def test_two_labels_of_an_image_get_mosaics_of_their_own():
    rows, labels = np.repeat(np.arange(8), 2), np.tile([0, 1], 8)
    view = View(Network(ChannelSums(SEES)), images_of(np.arange(8) % 3), rows, labels)
    wanted = [Focus(PARTNERS).gallery.mosaic(view, question)[1] for question in range(16)]
    assert not all(np.array_equal(*pair) for pair in zip(wanted[::2], wanted[1::2], strict=True))


def test_an_image_is_not_put_beside_itself():
    images = images_of(LABELS)
    assert not np.isnan(focus(SEES, images, (images, LABELS))).any()
    once = images[:3], LABELS[:3]  # of each label one: those three have no partner but themselves
    assert np.isnan(focus(SEES, images, once)).tolist() == [True] * 3 + [False] * 3


def test_what_has_no_partners_is_not_scored():
    images, labels = PARTNERS
    without_2 = images[labels != 2], labels[labels != 2]
    assert np.isnan(focus(SEES, None, without_2)).tolist() == [False, False, True] * 2
    only_0 = images[labels == 0], labels[labels == 0]
    assert np.isnan(focus(SEES, None, only_0)).all()
    assert np.isnan(focus(-SEES)).all()  # no value above 0
    several = images, np.stack([labels, np.full(6, 2)], axis=1)  # all have 2
    assert np.isnan(focus(SEES, None, several)).tolist() == [False, False, True] * 2


def test_explainers_share_mosaics_and_passes():
    cell = ChannelSums(SEES)
    network = Network(cell, 8)
    view = View(network, images_of(LABELS), np.arange(6), LABELS, needs=Gradient(cell).needs)
    explainers, memory = [Gradient(cell), InputXGradient(cell)], {}
    explanations = [Explanation(one, view, np.zeros((6, *SIZE), np.float32)) for one in explainers]
    for explanation in explanations:
        explanation.peers, explanation.memory = tuple(explanations), memory
    metric = Focus(PARTNERS)
    scores = [metric.score(explanation) for explanation in explanations]
    assert network.passes.made == {"mosaic": 1, "differentiate": 1}
    assert scores[0] == pytest.approx([0.5] * 6)
    assert (scores[1] > 0.99).all()


def test_one_that_has_no_maps_of_mosaics_is_not_asked_for_them():
    class Kept(InputXGradient):
        recomputable = False

    cell = ChannelSums(SEES)
    network = Network(cell, 8)
    view = View(network, images_of(LABELS), np.arange(6), LABELS, needs=Gradient(cell).needs)
    kept, other = (Explanation(kind(cell), view, np.ones((6, *SIZE), np.float32)) for kind in (Kept, InputXGradient))
    for explanation in (kept, other):
        explanation.peers, explanation.memory = (kept, other), kept.memory
    metric = Focus(PARTNERS)
    assert np.isnan(metric.score(kept)).all()
    assert network.passes.made == {}
    assert (metric.score(other) > 0.99).all()
    assert kept.memory.keys() == {("mosaics", metric), (metric, "InputXGradient")}  # no map was made for the other


@pytest.mark.parametrize(
    ("partners", "error", "code"),
    [
        (PARTNERS[0], TypeError, "partners-no-pair"),
        ((PARTNERS[0], LABELS[:3]), ValueError, "partners-misfit"),
        ((PARTNERS[0], LABELS.astype(float)), ValueError, "partners-misfit"),
        ((PARTNERS[0][0], LABELS), ValueError, "partners-misfit"),
        ((PARTNERS[0] * np.nan, LABELS), ValueError, "partners-misfit"),
    ],
)
def test_bad_partners(raising, partners, error, code):
    with raising(error, code):
        Focus(partners)


class TestRuns:
    @pytest.fixture
    def make(self, tmp_path):
        network = ChannelSums(SEES)

        def made(folder, partners=PARTNERS, images=None, **options):
            images = images_of(LABELS) if images is None else images
            options = {"pass_size": 2, "jit": "off", "labels": "truth", **options}
            names = ["red", "green", "blue"]
            runner = ImageClassificationRunner(
                tmp_path / folder, ((images, LABELS), names), network, nn.Softmax(), **options
            )
            runner.register_saliency([InputXGradient(network), RandomMap(network)], [Focus(partners)])
            return runner

        return made

    def test_shards_and_limits_see_the_same_mosaics(self, make, how_runs_differ, tmp_path):
        whole = make("whole").run()
        scores = whole.scores.column("Focus")
        assert (scores[:, 0] > 0.99).all()
        assert make("few").run(limit=2).scores.column("Focus").tolist() == scores[:2].tolist()
        shards = [tmp_path / f"shard{number}" for number in (1, 2)]
        for number, shard in enumerate(shards, 1):
            make(shard.name).run(shard=(number, 2))
        merge(tmp_path / "merged", shards)
        assert not how_runs_differ(tmp_path / "whole", tmp_path / "merged")

    def test_other_partners_are_another_run(self, make, raising):
        make("run").run()
        with raising(PlanError, "folder-holds-other-plan"):
            make("run", (PARTNERS[0] + 1, PARTNERS[1])).run()

    def test_partners_of_other_channels_are_refused_before_the_first_pass(self, make, raising):
        with raising(PlanError, "partners-channels", given=1, wanted=3, where="Focus"):
            make("run", (PARTNERS[0][:, :1], PARTNERS[1])).run()
        with raising(ValueError, "partners-channels"):
            focus(SEES, None, (PARTNERS[0][:, :1], PARTNERS[1]))

    def test_partners_are_the_first_samples_in_shards_and_at_any_limit(self, make, how_runs_differ, tmp_path):
        pool = {"pool": 6}
        whole = make("whole", pool).run()
        scores = whole.scores.column("Focus")
        assert (scores[:, 0] > 0.99).all()
        assert whole.plan["metrics"]["Focus"]["resolved"]["partners"]["samples"].startswith("6 samples ")
        assert make("few", pool).run(limit=2).scores.column("Focus").tolist() == scores[:2].tolist()
        make("few", pool).run()
        assert not how_runs_differ(tmp_path / "whole", tmp_path / "few")
        shards = [tmp_path / f"shard{number}" for number in (1, 2)]
        for number, shard in enumerate(shards, 1):
            make(shard.name, pool).run(shard=(number, 2))
        merge(tmp_path / "merged", shards)
        assert not how_runs_differ(tmp_path / "whole", tmp_path / "merged")

    def test_an_image_is_no_partner_of_its_own(self, make):
        found = make("run", {"pool": 3}).run().scores.column("Focus")[:, 0]  # of three labels one image each
        assert np.isnan(found[:3]).all()
        assert (found[3:] > 0.99).all()

    def test_mosaics_of_a_pool_are_those_of_its_images_as_partners(self, make):
        images = images_of(LABELS)
        pooled = make("pool", {"pool": 4}).run().scores.column("Focus")
        given = make("given", (images[:4], LABELS[:4])).run().scores.column("Focus")
        np.testing.assert_array_equal(pooled, given)

    def test_other_first_samples_are_another_run(self, make, raising):
        images = images_of(LABELS)
        make("run", {"pool": 2}, images).run(limit=1)
        images[2] += 1
        make("run", {"pool": 2}, images).run(limit=1)  # which is not among them
        with raising(PlanError, "folder-holds-other-plan"):
            make("run", {"pool": 3}, images).run(limit=1)
        images[1] += 1
        with raising(PlanError, "folder-holds-other-plan"):
            make("run", {"pool": 2}, images).run(limit=1)

    def test_a_direct_call_knows_no_pool(self, raising):
        with raising(ValueError, "pool-without-dataset", size=20):
            Focus().evaluate(InputXGradient(ChannelSums(SEES)), Tensor(images_of(LABELS)), LABELS)

    @pytest.mark.parametrize("entry", ["Focus", "Focus: {partners: pool}", "Focus: {partners: {pool: 6}}"])
    def test_a_config_takes_a_pool(self, tmp_path, entry):
        (tmp_path / "net.py").write_text(NETWORK)
        np.savez(tmp_path / "data.npz", images=images_of(LABELS), labels=LABELS)
        (tmp_path / "run.yaml").write_text(CONFIG.format(folder=tmp_path, entry=entry))
        result = build_runner(*load_config(tmp_path / "run.yaml"), tmp_path).run()
        assert (result.scores.column("Focus") > 0.99).all()
        assert "6 samples " in str(result.plan["metrics"]["Focus"])
        options = {"Focus.partners": {"pool": 6}} if "6" in entry else {}
        assert scored_folder(tmp_path / "run", ["Focus"], options).finished_before
        assert scored_folder(tmp_path / "run", ["Sparseness"], {}).scores.metrics == ("Focus", "Sparseness")

    @pytest.mark.parametrize("name", ["partners.npz", "partners.h5"])
    def test_a_config_names_a_file(self, tmp_path, name, raising):
        (tmp_path / "net.py").write_text(NETWORK)
        np.savez(tmp_path / "data.npz", images=images_of(LABELS), labels=LABELS)
        np.savez(tmp_path / "partners.npz", images=PARTNERS[0], labels=PARTNERS[1])
        with h5py.File(tmp_path / "partners.h5", "w") as file:
            file["images"], file["labels"] = PARTNERS
        (tmp_path / "run.yaml").write_text(CONFIG.format(folder=tmp_path, entry=f"Focus: {{partners: {name}}}"))
        result = build_runner(*load_config(tmp_path / "run.yaml"), tmp_path).run()
        assert (result.scores.column("Focus") > 0.99).all()
        np.savez(tmp_path / "partners.npz", images=PARTNERS[0])
        if name.endswith("npz"):
            with raising(PlanError, "images-without-labels"):
                build_runner(*load_config(tmp_path / "run.yaml"), tmp_path)
