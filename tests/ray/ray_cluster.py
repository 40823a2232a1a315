"""A Ray cluster of several nodes on this host: ray_cluster.py CPUS...

Prints its address, then stops the node whose number a line names, until its input ends.
"""

import sys

from ray.cluster_utils import Cluster


def main():
    cluster = Cluster()
    nodes = [cluster.add_node(num_cpus=int(cpus)) for cpus in sys.argv[1:]]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        cluster.remove_node(nodes[int(line)], allow_graceful=False)
        print("stopped", flush=True)
    cluster.shutdown()


main()
