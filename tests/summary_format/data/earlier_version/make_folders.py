"""Writes ``folders.zip`` beside this file, with the code of the commit that README.md names.

    PYTHONPATH=build/typing python make_folders.py

A whole run, its three shards, and the same run killed in its second batch.
"""

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import nn

from explainrun.benchmarks import InsertionAUC, PointingGame
from explainrun.explainers import Gradient, InputXGradient
from explainrun.runner import ImageClassificationRunner
from explainrun.runner.execution.batch_loop import BatchLoop


class Network(nn.Cell):
    """Two channels and two labels, on images (3, 6, 8)."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.flatten = nn.Conv2d(3, 2, 1, has_bias=True), nn.ReLU(), nn.Flatten()
        self.drop, self.head = nn.Dropout(p=0.5), nn.Dense(96, 2, has_bias=False)
        rng = np.random.default_rng(1)
        for parameter in self.get_parameters():
            parameter.set_data(ms.Tensor(rng.normal(size=parameter.shape).astype(np.float32)))

    def construct(self, x):
        return self.head(self.drop(self.flatten(self.relu(self.conv(x)))))


def scenes():
    """Eight images; the last has no label."""
    rng = np.random.default_rng(2)
    for labels in ([0, -1], [1, 0], [1, -1], [0, -1], [1, -1], [0, -1], [1, -1], [-1, -1]):
        boxes = np.array([[3, 1, 4, 2], [0, 2, 3, 3]], np.int32)
        yield rng.normal(size=(3, 6, 8)).astype(np.float32), np.int32(labels), boxes


def runner(folder):
    """A run of two batches of four samples."""
    data = ds.GeneratorDataset(list(scenes()), ["image", "labels", "bboxes"], shuffle=False, num_parallel_workers=1)
    network = Network()
    made = ImageClassificationRunner(folder, (data, ["left", "right"]), network, nn.Sigmoid(), pass_size=1, jit="off")
    made.register_saliency(
        [Gradient(network), InputXGradient(network)],
        [InsertionAUC(2, nn.Sigmoid(), steps=2), PointingGame(2, tolerance=1)],
    )
    made.register_uncertainty(samples=2)
    made.register_hierarchical_occlusion(window_sides=[4, 2], blur=2)
    return made


def killed(folder):
    """The run, killed once its first explainer is done with the second batch."""
    commit, commits = BatchLoop._commit, []

    def counted(self, pictures, *then):
        commit(self, pictures, *then)
        commits.append(then)
        if len(commits) == 8:
            self._committer.drain()
            os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        BatchLoop._commit = counted
        runner(folder).run()
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    (folder / ".explainrun.lock").unlink()


def main():
    """Write all folders and pack them."""
    socket.gethostname = lambda: "host"
    folders = Path(tempfile.gettempdir()) / "earlier"
    killed(folders / "unfinished")  # first, since a process that has run passes cannot be forked
    runner(folders / "whole").run()
    for number in (1, 2, 3):
        runner(folders / "parts" / "{shard}").run(shard=(number, 3))
    shutil.make_archive(str(Path(__file__).with_name("folders")), "zip", folders)
    shutil.rmtree(folders)


if __name__ == "__main__":
    main()
