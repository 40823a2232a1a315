"""Ray clusters on this host, and drivers that have them work on the bundled example."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from explainrun.summary_format import find_runs
from explainrun.summary_format.storage.lock_holder import holder_of

HERE = Path(__file__).parent
EXPLAINRUN = [sys.executable, "-m", "explainrun"]


class Cluster:
    """Nodes in processes of their own; warnings of Ray are none of the tests'.

    Attributes:
        address: what drivers connect to.
    """

    def __init__(self, *cpus):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [sys.executable, HERE / "ray_cluster.py", *map(str, cpus)]
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        self.process = subprocess.Popen(command, **pipes, text=True, env=environment)
        self.address = self._line()

    def stop(self, node):
        self.process.stdin.write(f"{node}\n")
        self.process.stdin.flush()
        assert self._line() == "stopped"

    def _line(self):
        line = self.process.stdout.readline().strip()
        assert line, "the cluster has ended"
        return line

    def end(self):
        self.process.communicate()


@pytest.fixture(scope="session")
def clusters():
    @contextmanager
    def of(*cpus):
        cluster = Cluster(*cpus)
        try:
            yield cluster
        finally:
            cluster.end()

    return of


class Driver:
    """A config of the bundled example in a folder, its run in one, and drivers of its shards.

    Attributes:
        folder: where the config is.
        out: the summary folder of the merged run.
    """

    def __init__(self, folder, repository, name, plan):
        self.folder, self.out = folder, folder / "runs" / "mine"
        config = yaml.safe_load((repository / "configs" / name).read_text()) | plan
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        for checkpoint in (repository / "configs").glob("*.ckpt"):
            shutil.copy(checkpoint, folder)

    def run_whole(self):
        command = [*EXPLAINRUN, "run", self.folder / "config.yaml", "--summary-dir", self.folder / "whole"]
        subprocess.run(command, check=True, capture_output=True)
        return self.folder / "whole"

    def start(self, shards, address, *options, command=None):
        command = command or [*EXPLAINRUN, "run", self.folder / "config.yaml", "--summary-dir", self.out]
        asked = ["--engine", "ray", "--shards", shards, "--address", address, *options]
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        return subprocess.Popen(
            list(map(str, [*command, *asked])),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def shard(self, number, shards):
        return self.out / f"shard-{number:0{len(str(shards))}}-of-{shards}"

    def folders(self):
        return sorted(self.out.glob("shard-*"))

    def finished(self):
        return [folder.name for folder in self.folders() if any(run.finished for run in find_runs(folder))]

    def committed(self, folder):
        """Whether a shard has committed something and is not finished."""
        return any(not run.finished and any(run.segments.glob("*")) for run in find_runs(folder))

    def kill_a_worker(self, process):
        """SIGKILL the worker of the first shard that has committed something; gives its number of process."""
        while True:
            assert process.poll() is None, process.communicate()
            for folder in filter(self.committed, self.folders()):
                holder = holder_of(folder)
                if holder is not None and holder.alive and holder.pid:
                    os.kill(holder.pid, signal.SIGKILL)
                    return holder.pid
            time.sleep(0.02)

    def cores(self, folder):
        """Those that any thread of a shard's worker may use; None before it has begun, and once it is finished."""
        holder = holder_of(folder)
        if holder is None or not holder.alive or not holder.pid or not self.committed(folder):
            return None
        threads = (Path("/proc") / str(holder.pid) / "task").iterdir()
        return set().union(*(os.sched_getaffinity(int(thread.name)) for thread in threads))

    def wait_for(self, process, condition):
        while not condition():
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)


@pytest.fixture
def driver(tmp_path, repository):
    return lambda name, **plan: Driver(tmp_path, repository, name, plan)
