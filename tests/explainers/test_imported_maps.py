"""Maps of others: they belong to the samples of a run, and to nothing else."""

import numpy as np
import pytest
from mindspore import Tensor, nn

from explainrun.benchmarks import ClassSensitivity, Explanation, IoSR, Robustness
from explainrun.explainers import ImportedMaps, Network, View
from explainrun.explainers.core.construction import Configuration
from explainrun.explainers.core.together import attribute_together
from explainrun.summary_format.imported_maps.map_store import MapStore


class Given(MapStore):
    """Maps of 2 x 4 of samples 3 and 8, the latter for two labels."""

    questions, size, source, digest = np.array([[8, 1], [3, 0], [8, 0]]), (2, 4), "a person", "0a"
    MAPS = np.arange(24, dtype=np.float32).reshape(3, 2, 4)

    def read(self, places):
        return self.MAPS[places]


@pytest.fixture
def imported(two_channels):
    return ImportedMaps(two_channels(), Given(), name="theirs")


@pytest.fixture
def view(imported, images):
    """Questions about samples 8, 5 and 3."""

    def of(rows=(0, 0, 1, 2, 2), labels=(0, 1, 0, 0, 1), ids=(8, 5, 3)):
        ids = None if ids is None else np.array(ids)
        return View(Network(imported.network), images(3), np.array(rows), np.array(labels), sample_ids=ids)

    return of


@pytest.fixture
def images():
    def of(count):
        return np.random.default_rng(0).normal(size=(count, 1, 2, 4)).astype(np.float32)

    return of


NAN = np.full((2, 4), np.nan)


def test_each_question_gets_its_own_map_or_none(imported, view):
    found, refused = attribute_together([imported], view())
    assert not refused
    np.testing.assert_array_equal(found["theirs"].maps, [Given.MAPS[2], Given.MAPS[0], NAN, Given.MAPS[1], NAN])
    np.testing.assert_array_equal(imported.attribute(view().subset(slice(3, 4))), [Given.MAPS[1]])


def test_a_store_of_nothing_has_no_map(two_channels):
    nothing = Given()
    nothing.questions = np.zeros((0, 2), np.int64)
    assert nothing.places(np.array([3, 8]), np.array([0, 1])).tolist() == [-1, -1]


def test_no_pass_is_made_where_the_logits_are_known(imported, images):
    network = Network(imported.network)
    known = View(
        network, images(2), np.array([0, 1]), np.array([0, 0]), sample_ids=np.array([3, 8]), logits=np.zeros((2, 2))
    )
    np.testing.assert_array_equal(imported.attribute(known), Given.MAPS[[1, 2]])
    assert not network.passes.made
    assert not imported.images_needed_for(known)


def test_changed_images_have_no_map_though_they_go_by_the_same_ids(imported, view, images):
    whole = view()
    copies = whole.with_images(np.array([0, 2]), images(2), np.array([0, 1]), np.array([0, 0]), None, imported.needs)
    assert copies.sample_ids.tolist() == [8, 3]
    np.testing.assert_array_equal(imported.attribute(copies), [NAN, NAN])
    np.testing.assert_array_equal(imported.attribute(copies.subset(slice(0, 1))), [NAN])


def test_a_direct_call_knows_of_no_samples(imported, images, raising):
    maps = imported(Tensor(images(4)), 0, show=False).asnumpy()
    np.testing.assert_array_equal(maps, np.full((4, 1, 2, 4), np.nan))
    with raising(ValueError, "map-no-picture"):
        imported(Tensor(images(4)), 0, "image")


def test_a_run_knows_it_by_source_and_content(imported, two_channels):
    assert imported.configuration() == Configuration(
        ImportedMaps, {"source": "a person", "digest": "0a", "name": "theirs"}
    )
    other = ImportedMaps(two_channels(), Given(), source="somebody else")
    assert (other.name, other.source) == ("ImportedMaps", "somebody else")


def test_images_of_another_size_and_too_few_classes_are_refused(imported, images, raising):
    with raising(ValueError, "imported-maps-of-other-size", height=2, width=4, images="4 x 2"):
        imported.images_needed(1, 1, (1, 4, 2))
    one_class = View(
        Network(imported.network),
        images(1),
        np.array([0]),
        np.array([0]),
        sample_ids=np.array([3]),
        logits=np.zeros((1, 1), np.float32),
    )
    with raising(ValueError, "imported-maps-of-other-classes", label=1, classes=1):
        imported.attribute(one_class)


@pytest.mark.parametrize("source", ["a\nb", "x" * 201, "\ud800"])
def test_a_source_is_a_short_line(two_channels, raising, source):
    with raising(ValueError, "source-unfit"):
        ImportedMaps(two_channels(), Given(), source=source)


class TestMetrics:
    def explanation(self, imported, view, extra=None):
        maps = imported.attribute(view)
        return Explanation(imported, view, maps, np.ones((len(maps), 2, 4), bool), extra=extra)

    def test_that_need_the_explainer_again_cannot_be_computed_and_make_no_pass(self, imported, view):
        asked = view()
        scores = Robustness(2, nn.Softmax(), samples=2).score(self.explanation(imported, asked))
        np.testing.assert_array_equal(scores, np.full(5, np.nan))
        assert asked.network.passes.made.total() <= 1  # that of the logits, of which a run has them already

    def test_that_need_the_map_alone_are_as_for_any_other(self, imported, view):
        scores = IoSR().score(self.explanation(imported, view()))
        np.testing.assert_array_equal(scores, [1, 1, np.nan, 1, np.nan])

    def test_that_need_maps_for_other_labels_find_those_of_the_file(self, imported, view):
        # Sample 8 has both labels, whose maps are one plus a number: they correlate, so that nothing is told apart.
        asked = view(rows=(0, 1), labels=(0, 0), ids=(8, 3, 5))
        extra_rows, extra_labels = np.array(sorted(set(ClassSensitivity().extra_questions(asked)))).T
        others = imported.attribute(view(extra_rows, extra_labels, (8, 3, 5)))
        extra = dict(zip(zip(extra_rows.tolist(), extra_labels.tolist(), strict=True), others, strict=True))
        scores = ClassSensitivity().score(self.explanation(imported, asked, extra))
        assert scores[0] == pytest.approx(0, abs=1e-6)
        assert np.isnan(scores[1])
