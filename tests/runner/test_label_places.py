"""Where labels are, by masks of their own or a segmentation map, from every kind of data; images are wide."""

import re

import h5py
import numpy as np
import pytest
from mindspore import nn
from mindspore.mindrecord import FileWriter
from PIL import Image

from explainrun.benchmarks import AUC, RelevanceMass
from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner, PlanError, SampleError
from explainrun.runner.config.build import build_runner
from explainrun.runner.config.schema import load_config
from explainrun.runner.data.file_datasets import csv_dataset, hdf5_dataset, mindrecord_dataset, npz_dataset
from explainrun.runner.data.given import checked_data
from explainrun.runner.data.samples import read_samples
from explainrun.summary_format import merge

SIZE = (3, 5)
IMAGE = np.zeros((1, *SIZE), np.float32)
CORNER, EDGE, NOWHERE = np.zeros(SIZE, bool), np.zeros(SIZE, bool), np.zeros(SIZE, bool)
CORNER[:2, 3:], EDGE[2, :2] = True, True
MAP = np.full(SIZE, 255, np.int32)
MAP[CORNER], MAP[EDGE], MAP[0, 0] = 1, 2, -1
NETWORK = """\
import mindspore as ms
import numpy as np
from mindspore import nn


def net():
    weights = ms.Tensor(np.eye(3, 15, 3).astype(np.float32))
    return nn.SequentialCell(nn.Flatten(), nn.Dense(15, 3, weight_init=weights))
"""


def places_in(data, classes=3):
    """For each sample the mask of each class."""
    return [np.stack([sample.mask(label) for label in range(classes)]) for sample in read_samples(data, classes)]


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.float32])
def test_a_mask_for_each_label(dataset, kind):
    both = np.stack([CORNER, EDGE]).astype(kind) * kind(1)
    rows = [
        (IMAGE, np.array([2, 0], np.int32), both),
        (IMAGE, np.array([1, 1], np.int32), both),
        (IMAGE, np.array([1, -1], np.int32), both),
    ]
    found = places_in(dataset(rows, ("image", "labels", "masks")))
    assert [one.tolist() for one in found] == [
        np.stack(expected).tolist()
        for expected in ([EDGE, NOWHERE, CORNER], [NOWHERE, CORNER | EDGE, NOWHERE], [NOWHERE, CORNER, NOWHERE])
    ]


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.uint8])
def test_a_segmentation_map(dataset, kind):
    indices = np.where(MAP < 0, 255, MAP).astype(kind)  # 255 is -1 in int8
    found = places_in(dataset([(IMAGE, np.array([1], np.int32), indices)]))
    assert found[0].tolist() == [NOWHERE.tolist(), CORNER.tolist(), EDGE.tolist()]


def test_batches_are_read_alike(dataset):
    labels, masks = np.array([[2, 0], [1, -1]], np.int32), np.stack([[CORNER, EDGE], [EDGE, NOWHERE]])
    rows = list(zip(np.stack([IMAGE] * 2), labels, masks, strict=True))
    alone, batched = (places_in(data) for data in (dataset(rows), dataset(rows).batch(2)))
    assert np.array_equal(alone, batched)
    assert np.array(alone).sum() == 6 + 2


def test_255_is_a_class_where_there_are_as_many(dataset):
    sample = next(iter(read_samples(dataset([(IMAGE, np.array([255], np.int32), MAP)]), 256)))
    assert sample.mask(255).tolist() == (MAP == 255).tolist()


@pytest.mark.parametrize(
    ("places", "code", "values"),
    [
        (np.zeros((2, 3, 4)), "sample-box-count", {"shape": (2, 3, 4), "height": 3, "width": 5}),
        (np.zeros((1, 3, 5)), "sample-box-count", {"shape": (1, 3, 5), "labels": 2}),
        (np.zeros((5, 3), np.int32), "sample-box-count", {"shape": (5, 3)}),
        (np.full((2, 3, 5), np.nan), "sample-masks", {"kind": "float64"}),
        (np.full((2, 3, 5), "a"), "sample-masks", {"kind": "<U1"}),
        (CORNER, "segmentation-kind", {"kind": "bool"}),
        (MAP.astype(np.float32), "segmentation-kind", {"kind": "float32"}),
        (np.where(CORNER, 3, MAP), "segmentation-classes", {"given": [3], "last": 2}),
    ],
)
def test_what_does_not_fit_is_refused(dataset, raising, places, code, values):
    with raising(SampleError, code, sample=0, **values):
        list(read_samples(dataset([(IMAGE, np.array([0, 1], np.int32), places)]), 3))


class TestFiles:
    LABELS = np.array([[1, 2], [2, -1]], np.int32)
    MASKS = np.stack([[CORNER, EDGE], [CORNER, NOWHERE]])
    MAPS = np.stack([MAP, np.where(MAP == 1, 2, 255)])

    def arrays(self, **places):
        return {"images": np.zeros((2, 1, *SIZE), np.float32), "labels": self.LABELS, **places}

    def expected(self):
        return [
            [NOWHERE.tolist(), CORNER.tolist(), EDGE.tolist()],
            [NOWHERE.tolist(), NOWHERE.tolist(), CORNER.tolist()],
        ]

    @pytest.mark.parametrize("name", ["masks", "segmentation"])
    @pytest.mark.parametrize("kind", ["npz", "hdf5", "given"])
    def test_arrays(self, tmp_path, name, kind):
        arrays = self.arrays(**{name: self.MASKS if name == "masks" else self.MAPS})
        np.savez(tmp_path / "data.npz", **arrays)
        with h5py.File(tmp_path / "data.h5", "w") as file:
            for key, values in arrays.items():
                file[key] = values
        data = {
            "npz": lambda: npz_dataset(tmp_path / "data.npz"),
            "hdf5": lambda: hdf5_dataset(tmp_path / "data.h5"),
            "given": lambda: checked_data(tuple(arrays.values())),
        }[kind]()
        assert data.get_col_names() == ["image", "labels", name]
        assert [one.tolist() for one in places_in(data)] == self.expected()

    @pytest.mark.parametrize(("name", "shape"), [("masks", [2, *SIZE]), ("segmentation", list(SIZE))])
    def test_mindrecord(self, tmp_path, name, shape):
        writer = FileWriter(str(tmp_path / "a.mindrecord"), 1)
        images, given = {"type": "float32", "shape": [1, *SIZE]}, {"type": "int32", "shape": shape}
        writer.add_schema({"image": images, "label": {"type": "int32", "shape": [2]}, name: given})
        places = (self.MASKS if name == "masks" else self.MAPS).astype(np.int32)
        rows = zip(self.LABELS, places, strict=True)
        writer.write_raw_data([{"image": IMAGE, "label": labels, name: of} for labels, of in rows])
        writer.commit()
        data = mindrecord_dataset(tmp_path / "a.mindrecord")
        assert data.get_col_names() == ["image", "label", name]
        assert [one.tolist() for one in places_in(data)] == self.expected()

    def test_a_loader(self):
        rows = [*zip(np.stack([IMAGE] * 2), self.LABELS, self.MASKS, strict=True)]
        loader = pytest.importorskip("mindspore.dataset.dataloader").DataLoader(rows, batch_size=2)
        assert [one.tolist() for one in places_in(checked_data(loader))] == self.expected()

    def test_masks_of_one_label_each(self, tmp_path):
        arrays = {"images": np.zeros((2, 1, *SIZE), np.float32), "labels": np.array([1, 2])}
        masks = np.stack([CORNER, EDGE])
        np.savez(tmp_path / "data.npz", **arrays, masks=masks)
        for data in (npz_dataset(tmp_path / "data.npz"), checked_data((*arrays.values(), masks))):
            first, second = places_in(data)
            assert first[1].tolist() == CORNER.tolist()
            assert second[2].tolist() == EDGE.tolist()

    def test_boxes_stay_boxes(self):
        boxes = np.array([[[3, 0, 2, 2], [0, 2, 2, 1]], [[3, 0, 2, 2], [0, 0, 0, 0]]], np.float32)
        for given in (boxes, boxes.astype(np.int32)):
            data = checked_data((*self.arrays().values(), given))
            assert data.get_col_names() == ["image", "labels", "bboxes"]
            assert [one.tolist() for one in places_in(data)] == self.expected()

    def test_places_of_two_kinds_or_of_nothing_are_refused(self, tmp_path, raising):
        np.savez(tmp_path / "data.npz", **self.arrays(masks=self.MASKS, segmentation=self.MAPS))
        with raising(ValueError, "places-twice", places=["masks", "segmentation"]):
            npz_dataset(tmp_path / "data.npz")
        np.savez(tmp_path / "data.npz", images=np.zeros((2, 1, *SIZE), np.float32), masks=self.MASKS)
        with pytest.raises(ValueError, match="has 'masks' without 'labels'"):
            npz_dataset(tmp_path / "data.npz")


class TestPictures:
    @pytest.fixture
    def folder(self, tmp_path):
        """Two pictures of 3 x 5 pixels, and masks and maps of them in several forms."""
        for name in ("a", "b"):
            Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / f"{name}.png")
        Image.fromarray(CORNER.astype(np.uint8) * 255).save(tmp_path / "corner.png")
        Image.fromarray(EDGE).save(tmp_path / "edge.png")  # of 1 bit
        indices = np.where(MAP < 0, 255, MAP).astype(np.uint8)
        palette = Image.new("P", SIZE[::-1])
        palette.putdata(indices.ravel().tolist())
        palette.putpalette([7 * i % 256 for i in range(768)])  # what a map looks like says nothing
        palette.save(tmp_path / "palette.png")
        Image.fromarray(indices).save(tmp_path / "grey.png")
        Image.fromarray(indices.astype(np.uint16)).save(tmp_path / "deep.png")
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "coloured.png")
        Image.fromarray(np.zeros((5, 3), np.uint8)).save(tmp_path / "turned.png")
        return tmp_path

    def read(self, folder, lines, **options):
        (folder / "list.csv").write_text("\n".join(lines))
        return csv_dataset(folder / "list.csv", ["none", "left", "right"], channels=1, **options)

    def test_masks(self, folder):
        lines = [
            "image,label,mask",
            "a.png,left,corner.png",
            "a.png,right,edge.png",
            "b.png,right,",
            "b.png,left,edge.png",
        ]
        first, second = places_in(self.read(folder, lines))
        assert first.tolist() == [NOWHERE.tolist(), CORNER.tolist(), EDGE.tolist()]
        assert second.tolist() == [NOWHERE.tolist(), EDGE.tolist(), NOWHERE.tolist()]

    @pytest.mark.parametrize("file", ["palette.png", "grey.png", "deep.png"])
    def test_segmentation_maps(self, folder, file):
        lines = ["image,label,segmentation", f"a.png,left,{file}", "a.png,right,", "b.png,left,"]
        first, second = places_in(self.read(folder, lines))
        assert first.tolist() == [NOWHERE.tolist(), CORNER.tolist(), EDGE.tolist()]
        assert not second.any()

    def test_a_size_mixes_no_pixels(self, folder):
        lines = ["image,label,segmentation", "a.png,left,palette.png"]
        for size in ((6, 10), (9, 5), (2, 3)):
            [found] = places_in(self.read(folder, lines, size=size))
            rows, columns = (
                np.floor((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, SIZE, strict=True)
            )
            assert found[1].tolist() == CORNER[rows][:, columns].tolist()
            assert found[2].tolist() == EDGE[rows][:, columns].tolist()

    @pytest.mark.parametrize(
        ("column", "file", "said"),
        [
            ("mask", "turned.png", r"\(5, 3\), its picture \(3, 5\)"),
            ("mask", "coloured.png", "coloured.png: its pixels are RGB"),
            ("segmentation", "coloured.png", "coloured.png: its pixels are RGB"),
        ],
    )
    def test_what_is_no_mask_is_refused(self, folder, raising, column, file, said):
        with raising(SampleError, "sample-broken", sample=0, said=re.compile(said)):
            list(read_samples(self.read(folder, [f"image,label,{column}", f"a.png,left,{file}"]), 3))

    def test_a_map_beyond_the_classes_is_named_with_its_line(self, folder, raising):
        Image.fromarray(np.full(SIZE, 9, np.uint8)).save(folder / "beyond.png")
        data = self.read(folder, ["image,label,segmentation", "a.png,left,grey.png", "b.png,left,beyond.png"])
        with raising(SampleError, "segmentation-classes", sample=1, given=[9]) as caught:
            list(read_samples(data, 3))
        assert "list.csv line 3" in str(caught.value)

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            (["image,label,mask,segmentation", "a.png,left,,"], "columns of masks and segmentation; give one of them"),
            (["image,mask", "a.png,corner.png"], "masks need the columns label, mask"),
            (["image,segmentation", "a.png,grey.png"], "segmentation maps need the columns label, segmentation"),
            (["image,label,mask", "a.png,left,none.png"], "1 of 2 pictures are missing, the first is .*none.png"),
            (["image,label,maks", "a.png,left,grey.png"], "did you mean 'mask'"),
        ],
    )
    def test_what_a_csv_lacks(self, folder, words, lines):
        with pytest.raises(ValueError, match=words):
            self.read(folder, lines)

    def test_two_maps_of_one_picture(self, folder, raising):
        lines = ["image,label,segmentation", "a.png,left,grey.png", "a.png,right,palette.png"]
        with raising(ValueError, "csv-segmentations", given="palette.png"):
            self.read(folder, lines)


class TestRuns:
    """Maps are constant weights, so that what they should score is known: 4 of 6 in the corner, 1 of 6 at the edge."""

    WEIGHTS = np.zeros((3, 1, *SIZE), np.float32)
    WEIGHTS[:, 0, 0, 3:], WEIGHTS[:, 0, 2, 1], WEIGHTS[:, 0, 1, 1] = 2, 1, 1

    @pytest.fixture
    def make(self, linear, tmp_path):
        network = linear(self.WEIGHTS)

        def made(folder, labels, places, **options):
            images = np.random.default_rng(0).normal(size=(len(labels), 1, *SIZE)).astype(np.float32)
            options = {"pass_size": 2, "jit": "off", "labels": "truth", **options}
            data = ((images, labels, places), ["a", "b", "c"])
            runner = ImageClassificationRunner(tmp_path / folder, data, network, nn.Softmax(), **options)
            runner.register_saliency([Gradient(network)], [RelevanceMass(), AUC()])
            return runner

        return made

    LABELS = np.array([[1, 2], [2, -1], [1, 0]] * 4, np.int32)
    MASKS = np.stack([[CORNER, EDGE], [CORNER, NOWHERE], [EDGE, NOWHERE]] * 4)
    EXPECTED = [4 / 6, 1 / 6, 4 / 6, np.nan, 1 / 6] * 4  # questions ascend by label: of the third sample 0, then 1

    def test_scores_of_a_run(self, make):
        result = make("run", self.LABELS, self.MASKS).run()
        found = result.scores.column("RelevanceMass")[:, 0]
        assert found == pytest.approx(self.EXPECTED, nan_ok=True)

    def test_a_segmentation_map_scores_as_masks_do(self, make):
        maps = np.stack([MAP, np.where(MAP == 1, 2, 255), np.where(MAP == 2, 1, 255)] * 4)
        found = [
            make(name, self.LABELS, of).run().scores.column("AUC")[:, 0]
            for name, of in (("m", self.MASKS), ("s", maps))
        ]
        assert np.array_equal(*found, equal_nan=True)

    def test_a_run_that_was_killed_or_cut_into_shards_ends_alike(self, make, kill, how_runs_differ, tmp_path):
        make("whole", self.LABELS, self.MASKS).run()
        kill(make("killed", self.LABELS, self.MASKS).run, batch=1, commits=1)
        make("killed", self.LABELS, self.MASKS).run()
        shards = [tmp_path / f"shard{number}" for number in (1, 2)]
        for number, shard in enumerate(shards, 1):
            make(shard.name, self.LABELS, self.MASKS).run(shard=(number, 2))
        merge(tmp_path / "merged", shards)
        for folder in ("killed", "merged"):
            assert not how_runs_differ(tmp_path / "whole", tmp_path / folder)

    @pytest.mark.parametrize("segmented", [False, True])
    def test_other_masks_are_another_dataset(self, make, kill, raising, segmented):
        given = np.stack([MAP, np.where(MAP == 1, 2, 255), np.where(MAP == 2, 1, 255)] * 4) if segmented else self.MASKS
        kill(make("run", self.LABELS, given).run, batch=1, commits=1)
        changed = given.copy()
        changed[0][..., 2, 4] = 1
        with raising(PlanError, "dataset-changed", sample=0):
            make("run", self.LABELS, changed).run()

    def test_maps_that_hold_no_label_at_all_are_refused(self, make, raising):
        with raising(PlanError, "segmentation-without-labels", samples=8):
            make("run", self.LABELS, np.full((12, *SIZE), 255, np.int32)).run()
        with raising(PlanError, "segmentation-classes", sample=0):
            make("run", self.LABELS, np.full((12, *SIZE), 3, np.int32)).run()

    def test_a_config_with_masks(self, tmp_path):
        images = np.zeros((2, 1, *SIZE), np.float32)
        np.savez(tmp_path / "data.npz", images=images, labels=np.array([1, 2]), masks=np.stack([CORNER, EDGE]))
        (tmp_path / "net.py").write_text(NETWORK)
        (tmp_path / "run.yaml").write_text(
            f"summary_dir: {tmp_path / 'run'}\nnetwork: {{factory: 'net.py:net'}}\nactivation: softmax\n"
            "data: {npz: data.npz}\nclass_names: [a, b, c]\nexplainers: [Gradient]\njit: 'off'\nlabels: truth\n"
            "metrics: [EnergyPointingGame, {TopKIntersection: {k: 3}}, {AttributionLocalization: {weighted: true}}]\n"
        )
        result = build_runner(*load_config(tmp_path / "run.yaml"), tmp_path).run()
        # Logit 1 looks at pixel 4, in the corner; logit 2 at pixel 5, which is not at the edge.
        assert result.scores.column("RelevanceMass")[:, 0].tolist() == [1, 0]
        assert result.scores.column("AttributionLocalization")[:, 0].tolist() == [15 / 4, 0]
