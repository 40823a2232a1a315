"""The templates of scripts/cluster with their settings edited, as a user would, and stand-ins for what they start."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

STAND_INS = Path(__file__).parent / "stand_ins"


class Templates:
    """Copies of the templates in a folder, and what their stand-ins tell.

    Attributes:
        folder: where all is.
        out: the summary folder that the settings name.
    """

    def __init__(self, folder, originals):
        self.folder, self.originals, self.out = folder, originals, folder / "runs" / "mine"
        self.config = folder / "config.yaml"
        self.config.write_text("summary_dir: elsewhere\n")
        (folder / "venv" / "bin").mkdir(parents=True)
        (folder / "codes").mkdir()
        (folder / "venv" / "bin" / "python").symlink_to(sys.executable)
        for name in ("explainrun", "sbatch", "srun", "scontrol", "msrun"):
            self.stand_in(name, name)
        self.environment = {**os.environ, "STAND_INS": str(folder)}

    def stand_in(self, name, source):
        """Have a program stand for another one."""
        program = self.folder / "venv" / "bin" / name
        program.write_text(f"#!{sys.executable}\n{(STAND_INS / source).with_suffix('.py').read_text()}")
        program.chmod(0o700)

    def edited(self, name, **settings):
        """A copy of a template with other settings; those that name places are set in any case."""
        places = {"CONFIG": self.config, "OUT": self.out, "RUNS": self.out.parent, "LOGS": self.folder / "logs"}
        text = (self.originals / name).read_text()
        for key, value in {**places, "VENV": self.folder / "venv", **settings}.items():
            text, times = re.subn(rf"(?m)^{key}=.*$", f"{key}={value}", text)
            assert times == 1 or key not in settings
        copy = self.folder / name
        copy.write_text(text)
        copy.chmod(0o700)
        (self.folder / "pinned.py").write_bytes((self.originals / "pinned.py").read_bytes())
        return copy

    def manifests(self):
        """The jobs of the Kubernetes template, by name."""
        jobs = yaml.safe_load_all((self.originals / "kubernetes.yaml").read_text())
        return {job["metadata"]["name"]: job for job in jobs if job is not None}

    def run(self, *command, **environment):
        return subprocess.run(
            [str(word) for word in command],
            check=False,
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
        )

    def ends_with(self, what, *codes):
        """Have a shard ("1/2") or the merge end with these codes, one a start, the last one from then on."""
        (self.folder / "codes" / what.replace("/", "-of-")).write_text(" ".join(map(str, codes)))

    def calls(self):
        """How explainrun was started, in order."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def started(self):
        """The same in short: the shards that ran, and merges with the folders they were given."""
        return [
            call["arguments"][call["arguments"].index("--shard") + 1]
            if call["arguments"][0] == "run"
            else "merge " + " ".join(Path(path).name for path in call["arguments"][1:])
            for call in self.calls()
        ]


@pytest.fixture
def templates(tmp_path, repository):
    return Templates(tmp_path, repository / "scripts" / "cluster")


class Kubelet:
    """Starts a container as a node would: mounts are folders, $(NAME) in commands its variables."""

    REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")

    def __init__(self, templates):
        self.templates = templates
        self.mounts = {"/runs": templates.folder / "runs", "/data": templates.folder}

    def command(self, container, variables):
        """The container's words. As Kubernetes has it, a name that is not defined stays as it is, brackets and all."""

        def value(match):
            return "$" if match[0] == "$$" else variables.get(match[1], match[0])

        words = [self.REFERENCE.sub(value, word) for word in [*container["command"], *container["args"]]]
        for mount in container["volumeMounts"]:
            path = mount["mountPath"]
            words = [re.sub(rf"(?<!\S){path}(?=/)", str(self.mounts[path]), word) for word in words]
        return words

    def start(self, container, **set_by_kubernetes):
        variables = {entry["name"]: entry["value"] for entry in container.get("env", [])} | set_by_kubernetes
        path = f"{self.templates.folder}/venv/bin:{os.environ['PATH']}"
        return self.templates.run(*self.command(container, variables), PATH=path, **variables)


@pytest.fixture
def kubelet(templates):
    return Kubelet(templates)
