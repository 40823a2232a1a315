"""Processes that answer requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any

from .subjects import ROOT


class RowError(Exception):
    """A row cannot be measured; says why."""


class Worker:
    """A process of one side, for one network; it lives until it is closed.

    Args:
        side: "ours" or "theirs".
        network: by its name.
        device: MindSpore's name of it.
        quick: whether jobs are small ones.
    """

    def __init__(self, side: str, network: str, device: str = "CPU", *, quick: bool = False) -> None:
        command = [sys.executable, "-m", "benchmarking.worker", side, network, device, *["--quick"] * quick]
        path = os.pathsep.join([str(ROOT / "scripts"), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # removed with all that it leaves
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env={**os.environ, "PYTHONPATH": path, "TMPDIR": self._scratch.name},
        )
        self.side = side

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """What it answers.

        Raises:
            RowError: if it could not do that, or has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RowError(f"the process of {self.side} ended with {self._process.wait()}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RowError(f"{self.side}: {answer['error']}")
        found: dict[str, Any] = answer["answer"]
        return found

    @property
    def ended(self) -> bool:
        """Whether it is no longer there."""
        return self._process.poll() is not None

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()
        self._scratch.cleanup()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
