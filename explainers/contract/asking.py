"""What is asked of an explainer that is checked, as a run asks it: full passes, the logits known."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import mindspore as ms
import numpy as np
import numpy.typing as npt

from ..core.explainer import Explainer
from ..core.together import attribute_together
from ..core.view import Needs, View
from ..network import Network, pass_kind
from ..network.tensors import FloatArray, IntArray
from .construction import PASS

Arrays = dict[str, npt.NDArray[Any]]
SEED = 4  # of views, where a rule chooses no other
Numbers = npt.NDArray[np.floating[Any]]


def viewed(
    explainer: Explainer,
    images: FloatArray,
    questions: tuple[IntArray, IntArray],
    ids: IntArray | None = None,
    seed: int = SEED,
    needs: Needs | None = None,
) -> View:
    """A view of questions, (Q,) rows and (Q,) labels, on images whose ids are by default 0..N-1."""
    network = Network(explainer.network, PASS, fill=True)
    logits = Network(explainer.network, PASS, fill=True).logits(images)
    return View(network, images, *questions, needs=needs or explainer.needs, sample_ids=ids, seed=seed, logits=logits)


def maps_of(explainer: Explainer, view: View) -> FloatArray:
    """Maps (Q, H, W), made as a run makes them.

    Raises:
        ValueError: if the explainer refuses.
    """
    found, refused = attribute_together([explainer], view)
    if refused:
        raise refused[explainer.name]
    return found[explainer.name].maps


def passes_needed(explainer: Explainer, view: View) -> Mapping[str, int]:
    """How many passes its maps for a view take, by kind, as it says itself."""
    needed = Counter[str]()
    for _, rule in explainer.needs.passes:
        needed[pass_kind(rule)] += -(-len(view.rows) // PASS)
    if explainer.needs.outputs:
        needed["activate"] += -(-len(np.unique(view.rows)) // PASS)
    for kind, images in explainer.images_needed_for(view).items():
        needed[kind] += -(-images // PASS)
    return +needed


def shared_arrays(explainer: Explainer, view: View) -> Arrays:
    """The arrays of a view that all explainers see, by name, those of passes included."""
    found: Arrays = {
        "view.images": view.images,
        "view.rows": view.rows,
        "view.labels": view.labels,
        "view.logits": view.logits,
    }
    for weights, rule in explainer.needs.passes:
        asked = view if weights is None else view.weighed(weights)
        derivatives, where = asked.derivatives(rule), f"view{'.weighed' * (asked is not view)}.derivatives({rule!r})"
        found[f"{where}.logits"] = derivatives.logits
        if derivatives.image_gradient is not None:
            found[f"{where}.input_gradient"] = derivatives.image_gradient
        found |= {f"{where}.activations[{name!r}]": array for name, array in derivatives.activations.items()}
        found |= {f"{where}.gradients[{name!r}]": array for name, array in derivatives.gradients.items()}
    outputs = view.outputs if explainer.needs.outputs else {}
    return found | {f"view.outputs[{name!r}]": array for name, array in outputs.items()}


def changed_arrays(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The names of arrays that are not the same bit for bit."""
    return (name for name, array in before.items() if not np.array_equal(array, after[name], equal_nan=True))


def random_states() -> dict[str, Any]:
    """What the random generators of the whole process are at, by the names of their packages."""
    numpy = [one.tobytes() if isinstance(one, np.ndarray) else one for one in np.random.get_state()]
    return {"NumPy": numpy, "Python": random.getstate(), "MindSpore": ms.get_seed()}


def apart(first: Numbers, second: Numbers) -> str:
    """In words, how far arrays are apart."""
    if first.shape != second.shape:
        return f"shapes {first.shape} and {second.shape}"
    differing = (first != second) & ~(np.isnan(first) & np.isnan(second))
    largest = np.abs(first - second)[differing].max(initial=0.0)
    return f"{np.sum(differing)} of {first.size} numbers that differ, by {largest:.2g} at most"
