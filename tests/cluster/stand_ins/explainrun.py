"""Stands for explainrun: notes how it was started, and ends with the codes that a test wants, one after the other."""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

TOLD = ("SLURM_", "SRUN_", "RANK_", "DEVICE_ID", "ASCEND_RT_", "MS_ROLE", "JOB_COMPLETION_INDEX", "EXPLAINRUN_SHARDS")


def note(folder, arguments):
    call = {
        "arguments": arguments,
        "environment": {name: value for name, value in os.environ.items() if name.startswith(TOLD)},
        "process": os.getpid(),
        "cores": sorted(os.sched_getaffinity(0)),
    }
    with (folder / "calls").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(call) + "\n")


def wanted(folder, arguments):
    """The code to end with now: a number, or "hang"."""
    what = arguments[arguments.index("--shard") + 1] if "--shard" in arguments else arguments[0]
    if what == "auto" and "RANK_ID" in os.environ:
        what = f"{int(os.environ['RANK_ID']) + 1}/{os.environ['RANK_SIZE']}"
    path = folder / "codes" / what.replace("/", "-of-")
    codes = path.read_text().split() if path.exists() else ["0"]
    path.write_text(" ".join(codes[1:] or codes))
    return codes[0]


def main():
    folder, arguments = Path(os.environ["STAND_INS"]), sys.argv[1:]
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        return
    note(folder, arguments)
    code = wanted(folder, arguments)
    print(f"explainrun: ends with {code}", file=sys.stderr, flush=True)
    if code == "hang":
        time.sleep(100)
        raise SystemExit("nobody stopped it")
    sys.exit(int(code))


main()
