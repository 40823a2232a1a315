"""Reading a stranger's file of maps in a process of its own, which may hang or die without harm to this one."""

from __future__ import annotations

import base64
import json
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ..archive.packing import packed_values
from ..errors import BrokenRecordError, NotRegularError
from ..problem import Problem
from ..untrusted.array_schema import ArraySpec, check_arrays
from ..untrusted.numpy_json import arrays_of, json_of
from ..untrusted.regular_files import open_regular
from .checked_index import DIGEST_BYTES, CheckedIndex, checked_index
from .map_store import MapsFileError

PATIENCE = 30.0  # seconds without a sign of life
_SPARE_BYTES = 2**30
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from explainrun.summary_format.imported_maps.reading_process import answer; answer(sys.argv[2])"
)
_SPECS: dict[str, ArraySpec] = {"questions": ("i", ("Q", 2)), "digests": ("u", ("Q", DIGEST_BYTES))}


def index_read_apart(path: Path) -> CheckedIndex:
    """What ``checked_index`` gives, which runs in another process.

    Raises:
        MapsFileError: if the file is not one of maps, or reading it hangs or ends that process.
        OSError: if it cannot be read.
    """
    try:
        open_regular(path).close()
    except NotRegularError as error:
        raise MapsFileError(Problem.from_error(error)) from error
    command = [sys.executable, "-c", _START, json.dumps(sys.path), str(path.absolute())]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        try:
            answered = _last_line(path, process)
        finally:
            process.kill()
    return _index_of(path, answered)


def _last_line(path: Path, process: subprocess.Popen[str]) -> str:
    """The process's answer, behind its signs of life.

    Raises:
        MapsFileError: if there are none for long, or it ends without an answer.
    """
    assert process.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_collect, args=(process.stdout, lines), daemon=True).start()
    words = "{file} is damaged, or made to break its reader: {how}"
    while True:
        try:
            line = lines.get(timeout=PATIENCE)
        except queue.Empty:
            how = f"HDF5 did not answer for {PATIENCE:g} seconds"
            raise MapsFileError(Problem.of("maps-file-breaks-reader", words, file=path, how=how)) from None
        if line is None:
            how = f"the process that read it ended with {process.wait()}"
            raise MapsFileError(Problem.of("maps-file-breaks-reader", words, file=path, how=how))
        if line.strip():
            return line


def _collect(output: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Hand on each line of an output, and None at its end."""
    with suppress(ValueError):  # it was closed meanwhile
        for line in output:
            lines.put(line)
    lines.put(None)


def _index_of(path: Path, answered: str) -> CheckedIndex:
    """What the other process answered, which HDF5 may have damaged.

    Raises:
        MapsFileError: if that is what is wrong with the file, or not an answer.
    """
    try:
        said = json_of(answered)
        if "problem" in said:
            raise MapsFileError(Problem(*said["problem"]))
        arrays = arrays_of(base64.b64decode(said["arrays"]))
        check_arrays(arrays, _SPECS, {})
        size = int(said["size"][0]), int(said["size"][1])
        return CheckedIndex(questions=arrays["questions"], digests=arrays["digests"], size=size, source=said["source"])
    except MapsFileError:
        raise
    except (ValueError, TypeError, KeyError, IndexError) as error:
        words = "{file} is damaged, or made to break its reader: {how}"
        how = "the process that read it gave no answer"
        raise MapsFileError(Problem.of("maps-file-breaks-reader", words, file=path, how=how)) from error


def answer(path: str) -> None:
    """What the other process does: read the file, and write what it holds, or what is wrong with it, in one line."""
    limit_memory(_SPARE_BYTES + 4 * Path(path).stat().st_size)
    try:
        index = checked_index(Path(path), lambda: print(flush=True))
    except (MapsFileError, BrokenRecordError) as error:
        problem = Problem.from_error(error)
        said: dict[str, Any] = {"problem": [str(problem), problem.code, dict(problem.values)]}
    else:
        arrays = packed_values({"questions": index.questions, "digests": index.digests})
        said = {"size": index.size, "source": index.source, "arrays": base64.b64encode(arrays).decode()}
    print(json.dumps(said), flush=True)


def limit_memory(spare: int) -> None:
    """Let this process take so many bytes more and no others, where the system can hold it to that."""
    with suppress(ImportError, OSError, ValueError, StopIteration):
        import resource  # noqa: PLC0415 - not on Windows

        status = Path("/proc/self/status").read_text().splitlines()
        taken = int(next(line for line in status if line.startswith("VmData")).split()[1]) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (taken + spare, taken + spare))
