"""Stands for Slurm's srun: becomes the command."""

import os
import sys

command = [argument for i, argument in enumerate(sys.argv) if i and not (i == 1 and argument.startswith("--"))]
os.execvp(command[0], command)
