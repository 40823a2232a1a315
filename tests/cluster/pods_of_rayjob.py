"""Print the pods of a RayJob as manifests of their own, for tools that know no RayJobs: pods_of_rayjob.py FILE"""

import sys
from pathlib import Path

import yaml


def pods(job):
    cluster = job["spec"]["rayClusterSpec"]
    groups = {"head": cluster["headGroupSpec"]} | {one["groupName"]: one for one in cluster["workerGroupSpecs"]}
    for name, group in groups.items():
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **group["template"]}


print(yaml.safe_dump_all(pods(yaml.safe_load(Path(sys.argv[1]).read_text()))))
