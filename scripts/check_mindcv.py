"""Which layer is read where none was named, and what explains, of a network of each MindCV family with random weights.

    python scripts/check_mindcv.py [--write] [NAME...]

Prints a table, a line a network. Ends with 1 where something is worse than docs/mindcv.json has it: another layer or
another grid, a method that no longer gives a map or is refused for another reason, or a network that has no line there.
What is better is printed too. --write renews that file and the table of docs/mindcv.md; read the difference before you
commit it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXPECTED, DOCUMENT = DOCS / "mindcv.json", DOCS / "mindcv.md"
BEGIN = "| network | image |"
METHODS = ("Gradient", "GuidedBackprop", "GradCAM", "LayerCAM", "Occlusion", "AttentionRollout", "LeGrad",
           "AttentionRelevance")  # fmt: skip
WINDOWS = 2  # along a side
CLASSES = 7

# The side of the image, the least that a family takes where its networks are large.
NAMES = {
    "BiT_resnet50": 64, "cait_xxs24_224": 224, "cmt_tiny": 160, "coat_lite_tiny": 224, "convit_tiny": 224,
    "convnext_tiny": 64, "crossvit_9": 240, "densenet121": 64, "dpn92": 64, "edgenext_xx_small": 256,
    "efficientnet_b0": 64, "ghostnet_050": 64, "googlenet": 64, "inception_v3": 107, "inception_v4": 107,
    "mixnet_s": 64, "mlp_mixer_s_p32": 224, "mnasnet_050": 64, "mobilenet_v1_025": 64, "mobilenet_v2_035_128": 64,
    "mobilenet_v3_small_100": 64, "mobilevit_xx_small": 64, "nasnet_a_4x1056": 96, "pit_ti": 224, "pnasnet": 96,
    "poolformer_s12": 64, "pvt_v2_b0": 224, "regnet_x_200mf": 64, "repmlp_t224": 224, "repvgg_a0": 64,
    "res2net50": 64, "resnest50": 64, "resnet18": 64, "resnetv2_50": 64, "senet154": 64, "seresnet18": 64,
    "shufflenet_v1_g3_05": 64, "shufflenet_v2_x0_5": 64, "skresnet18": 64, "squeezenet1_0": 64, "swin_tiny": 224,
    "swinv2_tiny_window8": 256, "vgg11": 224, "visformer_tiny": 224, "vit_b_32_224": 224, "xception": 96,
    "xcit_tiny_12_p16_224": 224,
}  # fmt: skip
# What a refusal says, and the word for it.
WORDS = {
    "no ReLU": "no ReLU",
    "NaN": "not finite",
    "no attention over tokens": "no attention",
    "windows of an image": "windows",
    "tokens change": "tokens change",
    "were reduced to": "reduced keys",
    "rest of the network": "no head",
}


@dataclass(frozen=True)
class Line:
    """What is known of a network.

    Attributes:
        layer: the one that is chosen; empty where there is none.
        reshape: the grid that goes with it.
        methods: for each a word: "runs", "zero" of a map that is the same everywhere, or why it is refused.
    """

    layer: str = ""
    reshape: list[int] | None = None
    methods: dict[str, str] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks to look at instead of all")
    parser.add_argument("--write", action="store_true", help="renew the expected result and the document")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"not among the networks of this script: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")
    found = {}
    print(head(), end="", flush=True)
    for name in given.names or NAMES:
        began = time.perf_counter()
        found[name] = looked_at(name, NAMES[name])
        print(row(name, found[name]), end="", flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    if given.write:
        write({**read_expected(), **found})
        return
    worse, better = compared(read_expected(), found)
    print("".join(f"worse: {one}\n" for one in worse) + "".join(f"better: {one}\n" for one in better), end="")
    print(f"{len(worse)} worse" if worse else f"{len(found)} networks, none worse than {EXPECTED.name} has it")
    sys.exit(bool(worse))


def read_expected() -> dict[str, Line]:
    """The result that is kept."""
    if not EXPECTED.exists():
        return {}
    return {name: Line(**line) for name, line in json.loads(EXPECTED.read_text()).items()}


def looked_at(name: str, side: int) -> Line:
    """What is chosen in a network and what explains it; why nothing does, if it fails."""
    try:
        return explained(name, side)
    except Exception as error:  # the other networks are to be looked at all the same
        said = next((line for line in map(str.strip, str(error).splitlines()) if line.strip("-")), "")
        why = word(f"{type(error).__name__}: {said}")
        return Line(methods=dict.fromkeys(METHODS, why))


def explained(name: str, side: int) -> Line:
    """What is chosen in a network and what explains it."""
    import mindcv  # noqa: PLC0415  (slow, and not needed by tests of the rest)

    from explainrun.runner.figures.explanations import Question, explain_pictures  # noqa: PLC0415

    ms.set_seed(5)
    np.random.seed(5)
    network = mindcv.create_model(name, num_classes=CLASSES)
    image = np.random.default_rng(5).normal(size=(3, side, side)).astype(np.float32)
    window = {"window": side // WINDOWS, "stride": side // WINDOWS}
    asked: list[Any] = [{method: window} if method == "Occlusion" else method for method in METHODS]
    question = Question(network=network, methods=asked, activation_fn=nn.Softmax(), targets=[(0,)])
    [picture], explainers = explain_pictures(question, [image], [name])
    reading: Any = next(one for one in explainers if one.name == "GradCAM")
    words = {method: word(why) for method, why in picture.refused.items()}
    words |= {method: "runs" if np.ptp(map_) else "zero" for method, map_ in picture.maps.items()}
    reshape = None if reading.reshape is None else list(reading.reshape)
    return Line(", ".join(reading.layer), reshape, {method: words[method] for method in METHODS})


def word(why: str) -> str:
    """A refusal in a word; what it says where there is none for it."""
    return next((short for said, short in WORDS.items() if said in why), why)


def compared(expected: Mapping[str, Line], found: Mapping[str, Line]) -> tuple[list[str], list[str]]:
    """What is worse than before, a sentence each, and what is better."""
    worse: list[str] = []
    better: list[str] = []
    for name, now in found.items():
        before = expected.get(name)
        if before is None:
            worse.append(f"{name} is not in {EXPECTED.name}; look at its line, and add it with --write {name}")
            continue
        was_read, is_read = (f"{line.layer} {line.reshape or ''}".rstrip() for line in (before, now))
        if was_read != is_read:
            worse.append(f"{name}: the layer was {was_read!r}, is {is_read!r}")
        for method in METHODS:
            was, is_ = before.methods.get(method, ""), now.methods.get(method, "")
            if was != is_:
                (better if is_ == "runs" else worse).append(f"{name}: {method} was {was!r}, is {is_!r}")
    return worse, better


def write(found: Mapping[str, Line]) -> None:
    """Renew the expected result and the table of the document, which is what stands last in it."""
    ordered = {name: found[name] for name in NAMES if name in found}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(asdict(line))}" for name, line in ordered.items())
    EXPECTED.write_text(f"{{\n{lines}\n}}\n")
    before, _, _ = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + table(ordered))


def table(found: Mapping[str, Line]) -> str:
    return head() + "".join(row(name, line) for name, line in found.items())


def head() -> str:
    return f"{BEGIN} layer | reshape | {' | '.join(METHODS)} |\n|{'---|' * (4 + len(METHODS))}\n"


def row(name: str, line: Line) -> str:
    grid = "" if line.reshape is None else "({}, {})".format(*line.reshape)
    cells = [f"`{name}`", NAMES[name], f"`{line.layer}`", grid, *(line.methods.get(method, "") for method in METHODS)]
    return f"| {' | '.join(map(str, cells))} |\n"


if __name__ == "__main__":
    main()
