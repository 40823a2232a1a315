"""A process that answers requests: a line of JSON each on standard input, and a line of JSON back.

python -m benchmarking.worker ours|theirs NETWORK DEVICE [--quick]
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from .subjects import SUBJECTS


def main() -> None:
    side, name, device, *flags = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not an answer
    answering: Any = None
    for line in sys.stdin:
        try:
            answering = answering or _side(side, name, device, quick="--quick" in flags)
            request = json.loads(line)
            answer = {"answer": getattr(answering, request.pop("do"))(**request)}
        except Exception as error:  # the next row may well work
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    answers.flush()
    os._exit(0)  # MindSpore's way out may print or fail, and nothing is left to do


def _side(side: str, name: str, device: str, *, quick: bool) -> Any:
    if side == "ours":
        from .sides.ours import Ours  # noqa: PLC0415 - a process loads one framework

        return Ours(SUBJECTS[name], device, quick=quick)
    from .sides.theirs import Theirs  # noqa: PLC0415

    return Theirs(SUBJECTS[name], device, quick=quick)


if __name__ == "__main__":
    main()
