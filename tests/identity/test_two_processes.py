"""The same script in two processes, however its network is written: finished, killed, in shards, and changed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from explainrun.summary_format import MergeError, Results, merge

SCRIPT = """\
import json, os, signal, sys
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor, nn
from mindspore.common.initializer import HeUniform, Normal, TruncatedNormal, initializer

from explainrun.benchmarks import InsertionAUC
from explainrun.explainers import GradCAM, Gradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.batches.batch_loop import BatchLoop

KINDS = {
    "Normal": lambda: Normal(0.02),
    "TruncatedNormal": lambda: TruncatedNormal(),
    "HeUniform": lambda: HeUniform(),
    "Tensor": lambda: Tensor(np.random.default_rng().random((4, 3, 3, 3)).astype(np.float32)),
    "initializer": lambda: initializer(Normal(0.02), (4, 3, 3, 3)),
}
given = json.loads(sys.argv[1])


class Net(nn.Cell):
    def __init__(self, weight_init, scale):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, weight_init=weight_init)
        self.relu, self.head, self.scale = nn.ReLU(), nn.Dense(4, 2, weight_init=Normal(0.02)), scale

    def construct(self, x):
        return self.head(self.relu(self.conv(x)).mean((2, 3))) * self.scale


net = Net(KINDS[given["kind"]](), given.get("scale", 0.5))
ms.load_param_into_net(net, {name: ms.Parameter(Tensor(values)) for name, values in np.load("weights.npz").items()})
rng = np.random.default_rng(0)
rows = [(rng.normal(size=(3, 6, 8)).astype(np.float32), np.int32([i % 2])) for i in range(9)]
data = ds.GeneratorDataset(rows, ["image", "labels"], shuffle=False, num_parallel_workers=1)
runner = ImageClassificationRunner(given["folder"], (data, ["a", "b"]), net, nn.Softmax(), pass_size=1)
runner.register_saliency([Gradient(net), GradCAM(net)], [InsertionAUC(2, nn.Softmax(), steps=4)])
if "kill" in given:
    commit, commits = BatchLoop._commit, []

    def counted(self, *work, **options):
        commit(self, *work, **options)
        commits.append(1)
        if len(commits) == given["kill"]:
            self._committer.drain()
            os.kill(os.getpid(), signal.SIGKILL)

    BatchLoop._commit = counted
try:
    result = runner.run(shard=given.get("shard"))
except PlanError as error:
    print(json.dumps({"refused": str(error)}))
else:
    print(json.dumps({"before": result.finished_before, "made": result.costs["made"]}))
"""
WEIGHTS = """\
import numpy as np
rng = np.random.default_rng(3)
np.savez("weights.npz", **{name: rng.normal(size=shape).astype(np.float32) for name, shape in
         (("conv.weight", (4, 3, 3, 3)), ("head.weight", (2, 4)), ("head.bias", (2,)))})
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    subprocess.run([sys.executable, "-c", WEIGHTS], check=True, cwd=tmp_path)

    def start(**given):
        command = [sys.executable, "script.py", json.dumps(given)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=dict(os.environ))
        if "kill" in given:
            assert done.returncode == -signal.SIGKILL, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return start


@pytest.mark.parametrize("kind", ["Normal", "TruncatedNormal", "HeUniform", "Tensor", "initializer"])
def test_a_second_process_has_the_same_network(script, tmp_path, how_runs_differ, kind):
    assert script(kind=kind, folder="whole")["before"] is False
    assert script(kind=kind, folder="whole")["before"] is True
    script(kind=kind, folder="killed", kill=4)
    assert script(kind=kind, folder="killed")["before"] is False
    assert how_runs_differ(tmp_path / "whole", tmp_path / "killed") == []
    shards = [tmp_path / f"shard{number}" for number in (1, 2)]
    for number, folder in enumerate(shards, 1):
        script(kind=kind, folder=folder.name, shard=[number, 2])
    merge(tmp_path / "merged", shards)
    assert how_runs_differ(tmp_path / "whole", tmp_path / "merged") == []
    assert Results(tmp_path / "merged").plan["chosen_layers"] == {"GradCAM": "relu"}


def test_a_scale_that_was_changed_is_refused_with_what_differs(script, tmp_path):
    script(kind="Normal", folder="run")
    assert (
        "computes something else: for the same image its logits"
        in script(kind="Normal", folder="run", scale=0.6)["refused"]
    )
    script(kind="Normal", folder="killed", kill=3)
    assert (
        "computes something else: for the same image its logits"
        in script(kind="Normal", folder="killed", scale=0.6)["refused"]
    )
    script(kind="Normal", folder="shard1", shard=[1, 2])
    script(kind="Normal", folder="shard2", shard=[2, 2], scale=0.6)
    with pytest.raises(MergeError, match="computes something else"):
        merge(tmp_path / "merged", [tmp_path / "shard1", tmp_path / "shard2"])
