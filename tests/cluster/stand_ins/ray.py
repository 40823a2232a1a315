"""Stands for the ray command: a job's entrypoint runs at once, and its exit code becomes the job's status."""

import os
import subprocess
import sys
from pathlib import Path

JOBS = Path(os.environ["STAND_INS"]) / "ray_jobs"


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def status(job):
    """As ``ray job status`` says it."""
    code = (JOBS / job).read_text() if (JOBS / job).exists() else ""
    if code == "0":
        return f"Job '{job}' succeeded"
    if code == "stopped":
        return f"Job '{job}' was stopped"
    if not code:
        return f"Status for job '{job}': RUNNING"
    return (
        f"Job '{job}' failed\nStatus message: Job entrypoint command failed with exit code {code}, last available logs"
    )


def main():
    JOBS.mkdir(exist_ok=True)
    what = sys.argv[2]
    assert sys.argv[1] == "job"
    assert option("--address") == "http://head:8265"
    if what == "submit":
        process = subprocess.Popen(sys.argv[sys.argv.index("--") + 1 :])
        (JOBS / "process").write_text(str(process.pid))
        code, job = process.wait(), JOBS / option("--submission-id")
        if not job.exists():
            job.write_text(str(code))
        sys.exit(status(job.name).startswith("Job") and "failed" in status(job.name))
    if what == "status":
        print(status(sys.argv[-1]))
    if what == "stop":
        (JOBS / sys.argv[-1]).write_text("stopped")
        os.kill(int((JOBS / "process").read_text()), 15)


main()
