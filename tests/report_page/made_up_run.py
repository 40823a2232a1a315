"""Finished runs whose maps are known without a network: small ones for tests, large ones for measurements.

    python tests/report_page/made_up_run.py FOLDER --samples 10000 --side 96 96

Sample i shows a square of 3 x 3 pixels around ``hottest(i, explainer, ...)`` in each map, on low noise. A run that is
worse has the first explainer's square where that of the next sample was, its scores 0.3 lower, and other predictions of
every seventh sample.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from explainrun.summary_format import (
    BatchResults,
    ExplanationBatch,
    InferenceBatch,
    Metadata,
    RunFolder,
    SearchBatch,
    SummaryWriter,
)
from explainrun.summary_format.archive.neighbours import Neighbours
from explainrun.summary_format.archive.results_file import write_archive
from explainrun.summary_format.archive.search_batch import OUTCOMES
from explainrun.summary_format.plan_record import PlanRecord

BATCH = 64
SIGNED = "Signed"  # the explainer whose maps have both signs: the hottest pixel is +1, its mirror image -1
METRICS = ("InsertionAUC", "PointingGame")
_NEAREST = {"class": "NearestSamples", "layer": None, "pool": 5, "distance": "cosine"}


def hottest(sample, explainer, height, width):
    """(row, column) of the largest value of a map."""
    return 2 + (5 * sample + 3 * explainer) % (height - 4), 2 + (7 * sample + 11 * explainer) % (width - 4)


class MadeUp:
    """What a run would have computed, batch by batch, as ``write_archive`` takes it."""

    def __init__(self, run, plan, samples, size, worse=False):
        self.run, self.samples, self.size, self.plan, self.worse = run, samples, size, plan, worse
        self.explainers = tuple(plan.explainers)

    def spans(self):
        for start in range(0, self.samples, BATCH):
            yield np.arange(start, min(start + BATCH, self.samples))

    def batches(self):
        for ids in self.spans():
            yield self._batch(ids)

    def _batch(self, ids):
        classes = len(self.plan.class_names)
        rng = np.random.default_rng(int(ids[0]))
        true = ids % classes
        predicted = np.where(ids % 5 == 4, (ids + 1) % classes, true)  # every fifth is mistaken for the next class
        if self.worse:
            predicted = np.where(ids % 7 == 3, (ids + 2) % classes, predicted)
        probabilities = np.full((len(ids), classes), 0.1 / classes, np.float32)
        probabilities[np.arange(len(ids)), predicted] = 0.6 + 0.4 * rng.random(len(ids))
        asked = [
            (one, label) for one, *labels in zip(ids, true, predicted, strict=True) for label in sorted(set(labels))
        ]
        questions = np.array(asked, np.int64).reshape(-1, 2)
        samples = InferenceBatch(
            ids=ids, digests=ids.astype(np.uint32), truth=true[:, None], logits=probabilities,
            probabilities=probabilities, spread=np.full((3, len(ids), classes), 0.05), questions=questions,
            labels_out_of_range=0 * ids, neighbours=self._neighbours(ids) if self.plan.neighbours else None,
        )  # fmt: skip
        count, shape = len(questions), (len(self.plan.metrics), len(questions))
        explained = {
            name: ExplanationBatch(
                scores=np.clip(
                    0.9 - 0.1 * place - 0.3 * (self.worse and place == 0) + 0.05 * rng.standard_normal(shape), 0, 1
                ),
                computed=np.ones(count, bool),
                errors=np.full(count, np.nan),
                curves={metric: self._curves(count, place) for metric in self.plan.curves},
            )
            for place, name in enumerate(self.explainers)
        }
        searched = _searched(questions, self.size) if self.plan.searching else None
        return BatchResults(samples, explained, searched)

    def _neighbours(self, ids):
        """Of each sample the next ones among the first five, of which the last lacks; their class is their number."""
        count = self.plan.neighbours
        near = (ids[:, None] + 1 + np.arange(count)) % 5
        near = np.where(np.arange(count) < count - 1, near, -1)
        distances = np.where(near >= 0, 0.25 * (1 + np.arange(count)), np.nan)
        predicted = np.where(near == 4, 5, near)
        return Neighbours(ids=near, distances=distances, predicted=predicted, truth=near[..., None])

    @staticmethod
    def _curves(count, place):
        """Of each question one curve that falls, the further the earlier the explainer is, and one that rises."""
        across, heights = np.array([0, 0.5, 1]), np.array([1, 0.5, 0.1 * place])
        both = np.array([[across, heights], [across, heights[::-1] / 2]])
        return np.broadcast_to(both, (count, *both.shape)).copy()

    def maps_of_all(self, explainer):
        place = self.explainers.index(explainer)
        for ids in self.spans():
            questions = self._batch(ids).samples.questions
            rng = np.random.default_rng([int(ids[0]), place])
            maps = (0.02 * rng.random((len(questions), *self.size))).astype(np.float32)
            maps -= 0.01 if explainer == SIGNED else 0.0
            for map_, (sample, _) in zip(maps, questions, strict=True):
                row, column = hottest(int(sample) + (self.worse and place == 0), place, *self.size)
                map_[row - 1 : row + 2, column - 1 : column + 2] = 1.0
                if explainer == SIGNED:
                    map_[::-1, ::-1][row - 1 : row + 2, column - 1 : column + 2] = -1.0
            yield maps

    def costs(self):
        return {"made": {"infer": 3}, "images": {"infer": 40}, "needed": {"infer": 3}, "pass_seconds": {"infer": 1.5},
                "seconds": {"maps": 2.5}}  # fmt: skip


def _searched(questions, size):
    """Of each question two layers of one box: the upper left quarter of the picture, then a part of that."""
    height, width = size
    count = len(questions)
    asked = np.repeat(questions, 2, axis=0)
    number = np.tile([0, 1], count)[:, None]
    places = np.tile([[0, 0, width // 2, height // 2], [width // 8, height // 8, width // 4, height // 4]], (count, 1))
    return SearchBatch(
        outcomes=np.full(count, OUTCOMES.index("found"), np.uint8),
        blurred=np.full(count, 0.2),
        sigmas=np.full(count, 3),
        layers=np.concatenate([asked, number], axis=1),
        probabilities=np.tile([0.9, 0.75], count),
        boxes=np.concatenate([asked, number, places, number - 1], axis=1),
    )


def make_run(folder, samples, size, *, explainers=("First", "Second", SIGNED), class_names=None, metrics=METRICS,
             searching=False, worse=False, curves=None, nearest=0):  # fmt: skip
    """Write a finished run, with two curves by name of some metrics, and so many nearest samples; gives its folder."""
    names = tuple(class_names or [f"class {number}" for number in range(10)])
    plan = PlanRecord.of({
        "class_names": list(names),
        "explainers": {name: {"class": name} for name in explainers},
        "metrics": {name: {"class": name} for name in metrics},
        **({"curves": curves} if curves else {}),
        **({"nearest_samples": _NEAREST | {"count": nearest}, "chosen_layers": {"nearest samples": "conv"}} if nearest
           else {}),
        "network": {"class": "Net", "parameters": "0123456789abcdef"},
        "activation_fn": "Softmax",
        "samples": samples,
        "seed": 7,
        "device": "CPU",
        "dropout_samples": 20,
        "hierarchical_occlusion": {"sigma": 3} if searching else None,
        "versions": {"explainrun": "0", "mindspore": "0"},
        "config": {"network": {"checkpoint": "net.ckpt"}, "data": {"hdf5": "digits.h5"}},
    })  # fmt: skip
    run = RunFolder.create(folder, "CPU", {"plan": plan.raw})
    write_archive(MadeUp(run, plan, samples, size, worse), plan)
    for sample in range(samples):
        path = run.root / run.image_path(sample)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(sample, *size))
    with SummaryWriter(run, [Metadata(names, tuple(explainers), tuple(metrics))]):
        pass
    run.write_manifest(saliency_map=True, benchmark=True, uncertainty=True, hierarchical_occlusion=searching)
    return Path(folder)


def picture(sample, height, width):
    """A JPEG of one colour that grows lighter from left to right."""
    light = np.linspace(60, 200, width)[None, :, None]
    colour = np.array([1.0, 0.5 + 0.1 * (sample % 5), 0.6])[None, None, :]
    pixels = np.broadcast_to(light * colour, (height, width, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--side", type=int, nargs=2, default=(96, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--explainers", type=int, default=5)
    given = parser.parse_args()
    names = [*(f"Method {number}" for number in range(given.explainers - 1)), SIGNED]
    make_run(given.folder, given.samples, tuple(given.side), explainers=names)


if __name__ == "__main__":
    main()
