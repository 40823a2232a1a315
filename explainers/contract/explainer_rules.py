"""What every explainer keeps to, rule by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor

from ...summary_format.map_scale import holds_negatives
from ..core.explainer import Explainer
from ..core.needs import Needs
from ..network import ATTENTION_SEARCH, GRAPH_TRIAL, Network, half_training
from ..network.tensors import FloatArray, IntArray, one_hot
from .asking import apart, changed_arrays, maps_of, passes_needed, random_states, shared_arrays, viewed
from .bundled import NetworkError
from .construction import Checked
from .network_state import State, changes, network_state
from .rules import Finding, Rule

_GENERATOR = "draw from view.generator(row, purpose), which gives an image the same numbers wherever it stands"
_EACH_ALONE = (
    "make each question's map of its own image, label and view.generator(row, purpose) alone; "
    "a matrix product over all questions rounds by how many they are, (a * b).sum(axis) does not"
)


def _maps(checked: Checked) -> Iterator[Finding]:
    explainer = checked.made()
    view = viewed(explainer, checked.images, checked.questions)
    questions, size = len(view.rows), view.size
    expected = f"float maps {(questions, *size)} from attribute: one (height, width) a question of the view"
    maps: Any = explainer.attribute(view)
    if not isinstance(maps, np.ndarray) or not np.issubdtype(maps.dtype, np.floating):
        kind = f"an array of {maps.dtype}" if isinstance(maps, np.ndarray) else f"a {type(maps).__name__}"
        yield Finding(expected, kind, "return a NumPy array; a Tensor's is tensor.asnumpy()")
    if maps.shape != (questions, *size):
        fix = "give a map for each of view.rows and view.labels; resized(maps, view.size) brings them to the size"
        yield Finding(expected, f"shape {maps.shape}", fix)
    if not np.isfinite(maps).all():
        yield Finding("finite numbers", f"{np.sum(~np.isfinite(maps))} that are not", "look for divisions by 0")
    signless = explainer.signed is False and np.isfinite(maps).all()
    if signless and any(holds_negatives(map_) for map_ in maps):
        yield Finding(
            "no negative values, as signed = False says", f"{maps.min():.3g}", "say signed = True in the class"
        )
    if not explainer.control and not np.ptp(maps, axis=(1, 2)).any():
        yield Finding("some map that is not constant", "the same number in all pixels", "or say control = True")


def _direct_call(checked: Checked) -> Iterator[Finding]:
    inputs, images = Tensor(checked.images), len(checked.images)
    labels = np.arange(2 * images).reshape(images, 2) % checked.classes
    for targets, shape in ((labels, (images, 2)), (0, (images, 1))):
        maps = checked.made()(inputs, Tensor(targets, ms.int32) if targets is labels else targets, show=False)
        if maps.dtype != ms.float32 or maps.shape != (*shape, *inputs.shape[2:]):
            expected = f"a float32 Tensor {(*shape, *inputs.shape[2:])} when it is called"
            yield Finding(expected, f"{maps.dtype} {maps.shape}", "leave __call__ to Explainer, write attribute")


def _random_numbers(checked: Checked) -> Iterator[Finding]:
    explainers = [checked.made(checked.network()) for _ in range(2)]
    before, found = random_states(), []
    for explainer in explainers:
        found.append(maps_of(explainer, viewed(explainer, checked.images, checked.questions)))
        after = random_states()
        for package in before:
            if after[package] != before[package]:
                left = "the process's random generators as they were"
                yield Finding(left, f"that of {package} was drawn from or seeded", _GENERATOR)
    if not np.array_equal(found[0], found[1]):
        expected = "the same maps, bit for bit, from two objects made alike under the same seed"
        yield Finding(expected, apart(*found), _GENERATOR)


def _no_state(checked: Checked) -> Iterator[Finding]:
    explainer, (rows, labels) = checked.made(), checked.questions
    first = maps_of(explainer, viewed(explainer, checked.images, checked.questions))
    maps_of(explainer, viewed(explainer, checked.images[::-1].copy(), (rows, labels[::-1].copy()), seed=5))
    again = maps_of(explainer, viewed(explainer, checked.images, checked.questions))
    if not np.array_equal(first, again):
        fix = "keep nothing in self from call to call: attribute gets some questions of a batch at a time, in any order"
        yield Finding("the same maps again, other images having come between", apart(first, again), fix)


def _neighbours(checked: Checked) -> Iterator[Finding]:
    explainer, (rows, labels) = checked.made(), checked.questions
    images, ids = checked.images, 3 + 7 * np.arange(len(checked.images))
    together = maps_of(explainer, viewed(explainer, images, checked.questions, ids))
    order = np.argsort(np.argsort(-labels, kind="stable") % 3, kind="stable")
    shuffled = maps_of(explainer, viewed(explainer, images, (rows[order], labels[order]), ids))
    if not np.array_equal(shuffled, together[order]):
        yield Finding("the same maps in another order", apart(shuffled, together[order]), _EACH_ALONE)
    for place, (row, label) in enumerate(zip(rows, labels, strict=True)):
        view = viewed(explainer, images[[row]], (np.array([0]), np.array([label])), ids[[row]])
        alone = maps_of(explainer, view)[0]
        if not np.array_equal(alone, together[place]):
            found = f"of image {row}, label {label}: {apart(alone, together[place])}"
            yield Finding("the same map for a question alone as beside others", found, _EACH_ALONE)


@dataclass(frozen=True)
class _Times:
    """The label's logit, so many times."""

    factor: float

    def weights(self, logits: FloatArray, labels: IntArray) -> FloatArray:
        return self.factor * one_hot(labels, logits.shape[1])


def _contrast(checked: Checked) -> Iterator[Finding]:
    explainer = checked.made()
    if not explainer.contrastable:
        return
    once, never = _Times(1.0), _Times(0.0)
    needs = Needs.together([explainer.needs, *(Needs.of_weighed(one, explainer.needs) for one in (once, never))])
    view = viewed(explainer, checked.images, checked.questions, needs=needs)
    plain, same, nothing = (explainer.attribute(one) for one in (view, view.weighed(once), view.weighed(never)))
    fix = (
        "read view.derivatives, view.layer, view.differentiate and view.asked_values, and not view.labels; or do not "
        "say contrastable = True"
    )
    if not np.array_equal(plain, same):
        yield Finding("the same maps where the sum of logits is the label's logit", apart(plain, same), fix)
    if np.ptp(nothing, axis=(1, 2)).any():
        found = f"values up to {np.abs(nothing).max():.2g}"
        yield Finding("constant maps where all logits are weighed by 0", found, fix)


def _shared_arrays(checked: Checked) -> Iterator[Finding]:
    explainer = checked.made()
    view = viewed(explainer, checked.images.copy(), checked.questions)
    arrays = shared_arrays(explainer, view)
    before = {name: array.copy() for name, array in arrays.items()}
    explainer.attribute(view)
    for name in changed_arrays(before, arrays):
        fix = "work on a copy: other explainers and metrics see the same arrays"
        yield Finding(f"{name} as it was", "other numbers in it", fix)


def _passes(checked: Checked) -> Iterator[Finding]:
    explainer = checked.made()
    view = viewed(explainer, checked.images, checked.questions)
    needed = passes_needed(explainer, view)
    maps_of(explainer, view)
    made = Counter(view.network.passes.made)
    for once in (GRAPH_TRIAL, ATTENTION_SEARCH):  # which the network decides
        del made[once]
    if made != needed:
        fix = "name the passes that it reads in needs, and count the images that it runs itself in images_needed"
        yield Finding(f"passes as it says that it needs: {dict(needed)}", f"{dict(made)}", fix)


def _control(checked: Checked) -> Iterator[Finding]:
    if not checked.bundled:
        return
    explainers = [checked.made(checked.network(start)) for start in (0.0, 0.25)]
    maps = [maps_of(one, viewed(one, checked.images, checked.questions)) for one in explainers]
    same = np.array_equal(maps[0], maps[1])
    if same and not explainers[0].control:
        found = "the same maps for networks of different weights"
        yield Finding("maps that depend on the network, or control = True", found, "say control = True in the class")
    if explainers[0].control and not same:
        yield Finding("the same maps whatever the network", apart(*maps), "do not say control = True")


def _network_left(checked: Checked) -> Iterator[Finding]:
    network = checked.network()
    Network(network).logits(checked.images)  # a first call makes empty tables of hooks
    with half_training(network):
        before = network_state(network)
        explainer = checked.made(network)
        made = network_state(network)
        explainer(Tensor(checked.images), 1 % checked.classes, show=False)
        called = network_state(network)
    yield from _left(before, made)
    yield from _left(before, called)


def _failures(checked: Checked) -> Iterator[Finding]:
    if not checked.bundled:
        return
    network: Any = checked.network()
    explainer = checked.made(network)
    Network(network).logits(checked.images)
    before = network_state(network)
    for fails_at, fails_behind in ((1, 0), (0, 1), (2, 0), (0, 3)):
        called = network.calls
        network.fails_at, network.fails_behind = (called + call if call else 0 for call in (fails_at, fails_behind))
        try:
            explainer(Tensor(checked.images), 1, show=False)
            failed = False
        except NetworkError:
            failed = True
        yield from _left(before, network_state(network))
        number = max(fails_at, fails_behind)
        if network.calls > called + number - (not failed):
            found = f"call {number} of the network failed, and the explainer went past it"
            yield Finding("an error of the network is passed on", found, "do not catch what the network raises")


def _left(before: State, after: State) -> Iterator[Finding]:
    for what in changes(before, after):
        fix = "run the network through the view: view.derivatives, view.layer, view.outputs, view.network"
        yield Finding("the network as it was found", f"another {what}", fix)


def _labels(checked: Checked) -> Iterator[Finding]:
    classes = checked.classes
    expected, label = f"a ValueError on a label out of range, which names it or 0..{classes - 1}", classes + 3
    fix = "call check_labels(view.labels, view.logits.shape[1]) in attribute"
    try:
        checked.made()(Tensor(checked.images[:1]), label, show=False)
    except ValueError as error:
        if not any(str(number) in str(error) for number in (label, classes, f"0..{classes - 1}")):
            yield Finding(expected, f"one that says {str(error)!r}", fix)
    except Exception as error:
        yield Finding(expected, f"{type(error).__name__}: {error}", fix)
    else:
        yield Finding(expected, f"maps for label {label} of {classes} classes", fix)


def _constructor(checked: Checked) -> Iterator[Finding]:
    passed_on = "write super().__init__(network, name)"
    if "network" in checked.parameters:
        expected = "a TypeError on a network that is not a mindspore.nn.Cell"
        try:
            checked.made(network="resnet50")
        except TypeError:
            pass
        else:
            yield Finding(expected, "it takes 'resnet50'", passed_on)
    if "name" in checked.parameters:
        name = checked.made(name="another name").name
        if name != "another name":
            yield Finding("the name that it is given: 'another name'", repr(name), passed_on)


def _checked(kind: type[Any], images: FloatArray | None, arguments: dict[str, Any]) -> Checked:
    return Checked.of(Explainer, kind, images, arguments)


EXPLAINER_RULES = tuple(
    Rule(name, says, broken, _checked)
    for name, says, broken in (
        ("constructor", "it takes a network and a name, and passes them on", _constructor),
        ("maps", "attribute gives a finite map (height, width) for each question", _maps),
        ("direct call", "called, it gives a float32 Tensor (N, labels, height, width)", _direct_call),
        ("labels", "a label out of range is refused", _labels),
        ("random numbers", "what is drawn comes from the sample's own generator", _random_numbers),
        ("no state", "nothing is kept from call to call", _no_state),
        ("neighbours", "a map does not depend, by a bit, on what else is asked, nor in which order", _neighbours),
        ("contrast", "a sum of logits is explained instead of a label's, if it says contrastable", _contrast),
        ("shared arrays", "arrays that others see are left as they are", _shared_arrays),
        ("passes", "the passes that are made are those that it says", _passes),
        ("control", "maps depend on the network, unless it is a control", _control),
        ("network", "the network is left as it was found", _network_left),
        ("failures", "the network is left as it was found where it fails, and its error passed on", _failures),
    )
)


def check_explainer(kind: type[Explainer], /, *, images: FloatArray | None = None, **arguments: Any) -> None:
    """Check a class by all that an explainer keeps to: ``EXPLAINER_RULES``, one after the other.

    It is made with a tiny network, many times. Its constructor's arguments ``network``, ``activation_fn``,
    ``num_labels``, ``layer`` and ``explainer`` are filled in where it has them and they are not given.

    Args:
        kind: a subclass of ``Explainer``.
        images: (N, C, H, W) for a network of your own; by default five of (3, 12, 16).
        arguments: for the constructor. One that belongs to a network is an ``OfNetwork``. With a
            ``network`` of your own the rules that need another one, or one that fails, are left out.

    Raises:
        ContractError: with the first rule that it breaks, what was expected and found, and how to fix it.
        TypeError: if it is not an explainer, or its constructor needs an argument that is not given.
    """
    for rule in EXPLAINER_RULES:
        rule(kind, images=images, **arguments)
