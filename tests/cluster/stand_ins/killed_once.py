"""Stands for explainrun: the real one, but a shard that a test names is killed once, after its first commit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STAND_INS"])
REAL = [sys.executable, "-m", "explainrun", *sys.argv[1:]]


def started_to_be_killed():
    """Whether this is the first start of the shard to kill."""
    shard = sys.argv[sys.argv.index("--shard") + 1] if "--shard" in sys.argv else ""
    if shard == "auto":
        index = os.environ.get("RANK_ID") or os.environ["JOB_COMPLETION_INDEX"]
        shard = f"{int(index) + 1}/2"
    scheduler = os.environ.get("MS_ROLE") == "MS_SCHED"
    if scheduler or shard != os.environ["KILLED_SHARD"] or (FOLDER / "killed").exists():
        return False
    (FOLDER / "killed").touch()
    return True


def main():
    if not started_to_be_killed():
        os.execv(sys.executable, REAL)
    out = Path(sys.argv[sys.argv.index("--summary-dir") + 1]).parent
    name = f"shard-{os.environ['KILLED_SHARD'].replace('/', '-of-')}"
    process = subprocess.Popen(REAL)
    while process.poll() is None and not list(out.glob(f"{name}/_explain_*/segments/*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit("the run ended before it could be killed")
    sys.exit(128 + signal.SIGKILL)


main()
