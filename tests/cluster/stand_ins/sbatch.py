"""Stands for Slurm's sbatch: runs the job at once, with the variables that Slurm sets, and again where it is requeued.

A job that depends on one of which a task failed is not run.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(os.environ["STAND_INS"])


def numbers(array):
    """Tasks of an array such as 5,8-10%2."""
    for part in array.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def run(command, variables, name):
    """Run a job until it is not requeued any more."""
    for restarts in range(100):
        again = FOLDER / f"requeued-{name}"
        again.unlink(missing_ok=True)
        counted = {"SLURM_RESTART_COUNT": str(restarts)} if restarts else {}
        code = subprocess.call(command, env={**os.environ, **variables, **counted}, stdout=sys.stderr)
        if not again.exists():
            return code
    raise SystemExit("requeued without end")


def main():
    split = next(i for i, argument in enumerate(sys.argv[1:], 1) if not argument.startswith("--"))
    options = dict(option[2:].partition("=")[::2] for option in sys.argv[1:split])
    jobs = FOLDER / "jobs"
    jobs.mkdir(exist_ok=True)
    job = 100 * (1 + len(list(jobs.iterdir())))
    codes = []
    needed = re.fullmatch(r"afterok:(\d+)", options.get("dependency", ""))
    told = {"SLURM_CPUS_PER_TASK": options["cpus-per-task"]}
    if needed and any(json.loads((jobs / needed[1]).read_text())["codes"]):
        pass  # never satisfied
    elif "array" in options:
        tasks = list(numbers(options["array"]))
        whole = {"ARRAY_JOB_ID": job, "ARRAY_TASK_COUNT": len(tasks), "ARRAY_TASK_STEP": 1}
        whole |= {"ARRAY_TASK_MIN": min(tasks), "ARRAY_TASK_MAX": max(tasks)}
        for place, task in enumerate(tasks):
            own_job = job + (place + 1) % len(tasks)  # the last task has the array's number
            names = {**whole, "ARRAY_TASK_ID": task, "JOB_ID": own_job}
            variables = told | {f"SLURM_{name}": str(value) for name, value in names.items()}
            codes.append(run(sys.argv[split:], variables, f"{job}_{task}"))
    else:
        codes.append(run(sys.argv[split:], {**told, "SLURM_JOB_ID": str(job)}, str(job)))
    (jobs / str(job)).write_text(json.dumps({"options": options, "codes": codes}))
    print(f"{job};toy" if "parsable" in options else f"Submitted batch job {job}")


main()
