"""The command: which rows, in which order, until the time is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import groupby
from typing import Any

from .machine import device_name, machine, now
from .measuring import BatchSizes, Effort, Found, beside, overhead
from .processes import RowError, Worker
from .results import FORMAT
from .rows import BESIDE, GRAD_CAM, TORCHCAM, Row
from .shown.tables import call_cells, run_cells
from .sizes import BATCHES
from .subjects import SUBJECTS

_MODULES = {"captum": "captum", GRAD_CAM: "pytorch_grad_cam", TORCHCAM: "torchcam"}


@dataclass
class Session:
    """One call of the command.

    Attributes:
        device: MindSpore's name of it.
        effort: spent on each row.
        ends: when no further row begins, by ``effort.clock``.
        quick: whether jobs are small ones.
        fresh: whether each row of a run gets a process of its own, so that its memory is its own too.
        keep: given the result after each row, so that what is measured outlives an interruption.
        rows: what was found.
        not_measured: why not, by row.
    """

    device: str
    effort: Effort
    ends: float
    quick: bool = False
    fresh: bool = False
    keep: Callable[[dict[str, Any]], None] = lambda _: None
    rows: list[Found] = field(default_factory=list)
    not_measured: dict[str, str] = field(default_factory=dict)

    def measure(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Measure all rows, network by network as they stand, and give the result."""
        for _, of_network in groupby(self._possible(rows), key=lambda row: (row.network, row.section == BESIDE)):
            self._measure_together(list(of_network))
        return self.result()

    def result(self) -> dict[str, Any]:
        """What is found so far."""
        found = {"rows": list(self.rows), "not_measured": dict(self.not_measured)}
        return {"format": FORMAT, "machine": machine(), "quick": self.quick, **found}

    def _possible(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            if why := lacking(row):
                self._leave_out(row, why)
            else:
                yield row

    def _measure_together(self, rows: Sequence[Row]) -> None:
        """Rows of one network, which share its processes."""
        workers: dict[str, Worker] = {}
        sizes = BatchSizes(BATCHES[:1] if self.quick else BATCHES)
        try:
            for row in rows:
                if self.effort.clock() >= self.ends:
                    self._leave_out(row, "the time was over; name it with --rows, or give more --minutes")
                    continue
                self._start(workers, row)
                self._measure(row, workers, sizes)
                if self.fresh and row.section != BESIDE:
                    workers.pop("ours").close()
        finally:
            for worker in workers.values():
                worker.close()

    def _start(self, workers: dict[str, Worker], row: Row) -> None:
        for side in ("ours", "theirs") if row.section == BESIDE else ("ours",):
            if side not in workers:
                workers[side] = Worker(side, row.network, self.device, quick=self.quick)

    def _measure(self, row: Row, workers: dict[str, Worker], sizes: BatchSizes) -> None:
        began = time.perf_counter()
        try:
            if row.section == BESIDE:
                found = beside(row, workers["ours"], workers["theirs"], self.effort, sizes)
            else:
                found = overhead(row, workers["ours"], self.effort)
        except RowError as error:
            self._leave_out(row, str(error))
            for side in [side for side, worker in workers.items() if worker.ended]:
                workers.pop(side).close()
            return
        about = {"key": row.key, "network": row.network, "section": row.section, "method": row.method}
        found |= {**about, "library": row.library, "device": device_name(self.device), "at": now()}
        self.rows.append(found)
        self.keep(self.result())
        cells = (call_cells if row.section == BESIDE else run_cells)(found)
        print(f"{row.key}: {' | '.join(cells[1:])} [{time.perf_counter() - began:.0f} s]", file=sys.stderr, flush=True)

    def _leave_out(self, row: Row, why: str) -> None:
        self.not_measured[row.key] = why
        print(f"!!! NOT MEASURED: {row.key}: {why}", file=sys.stderr, flush=True)


def lacking(row: Row) -> str:
    """What is missing on this machine for a row; empty where nothing is."""
    if row.refusal:
        return row.refusal
    needs = SUBJECTS[row.network].needs
    if needs is not None and not needs.is_dir():
        return f"there is no {needs}"
    if row.network == "resnet50" and find_spec("mindcv") is None:
        return "MindCV is not installed; scripts/benchmark installs it"
    if row.library and find_spec(_MODULES[row.library]) is None:
        return f"{row.library} is not installed; scripts/benchmark installs it"
    return ""
