"""MindSpore's own msrun, wherever its script is installed."""

from mindspore.parallel.cluster.run import main

main()
