"""Generate ``summary_format/_gen/records_pb2.py`` and its stub from ``records.proto``.

Needs exactly the generator in ``GENERATOR``: older than every protobuf runtime that setup.cfg admits, since a runtime
refuses code that is newer than itself. Install it in an environment of its own (it pins an old protobuf).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from grpc_tools import protoc

GENERATOR = "1.71.0"
ROOM = Path(__file__).resolve().parent.parent / "summary_format" / "_gen"
VIRTUAL = "explainrun/summary_format/_gen"  # names the descriptor uniquely in the process


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--output", type=Path, default=ROOM)
    output = arguments.parse_args().output
    if version("grpcio-tools") != GENERATOR:
        print(f"needs grpcio-tools=={GENERATOR}, found {version('grpcio-tools')}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch, resources.as_file(resources.files("grpc_tools") / "_proto") as std:
        command = ["protoc", f"-I{VIRTUAL}={ROOM}", f"-I{std}", f"--python_out={scratch}", f"--pyi_out={scratch}"]
        code = int(protoc.main([*command, f"{VIRTUAL}/records.proto"]))
        for made in Path(scratch, VIRTUAL).iterdir():
            (output / made.name).write_bytes(made.read_bytes())
    return code


if __name__ == "__main__":
    sys.exit(main())
