"""What every metric keeps to, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mindspore import Tensor

from ...explainers import InputXGradient
from ...explainers.contract.asking import Arrays, apart, changed_arrays, random_states
from ...explainers.contract.construction import Checked
from ...explainers.contract.network_state import changes, network_state
from ...explainers.contract.rules import Finding, Rule
from ...explainers.network import Network, half_training
from ...explainers.network.tensors import FloatArray, IntArray
from ..core.metric import Metric
from .scoring import Scored, Spoiled, checked_explanation, scored, without_network

_GENERATOR = "draw from explanation.view.generator(row, purpose), which gives an image the same numbers everywhere"
_EACH_ALONE = (
    "score each question by its own map, image, label and view.generator(row, purpose) alone; "
    "a matrix product over all questions rounds by how many they are, (a * b).sum(axis=1) does not"
)


def _constructor(checked: Checked) -> Iterator[Finding]:
    metric = checked.made()
    passed_on = "write super().__init__(num_labels, name), or super().__init__(name=name)"
    if metric.num_labels not in (None, checked.classes):
        expected = f"num_labels {checked.classes}, as it was given, or None"
        yield Finding(expected, repr(metric.num_labels), passed_on)
    if "name" in checked.parameters:
        name = checked.made(name="another name").name
        if name != "another name":
            yield Finding("the name that it is given: 'another name'", repr(name), passed_on)


def _boxes(checked: Checked) -> Iterator[Finding]:
    if checked.made().needs_boxes:
        return
    expected = "scores that do not depend on masks, which it does not ask for"
    fix = "say needs_boxes = True in the class, where it reads explanation.masks"
    try:
        masked, again = (_score(checked, checked.made(), masked=True).scores for _ in range(2))
    except Exception:  # which has nothing to do with lacking masks: another rule is broken
        return
    try:
        without = _score(checked, checked.made()).scores
    except Exception as error:
        yield Finding(expected, f"without masks {type(error).__name__}: {error}", fix)
    else:
        repeats = isinstance(masked, np.ndarray) and np.array_equal(masked, again, equal_nan=True)
        if repeats and not np.array_equal(masked, without, equal_nan=True):
            yield Finding(expected, f"with masks and without {apart(masked, without)}", fix)


def _network_needed(checked: Checked) -> Iterator[Finding]:
    metric = checked.made()
    if metric.needs_network:
        return
    explanation = checked_explanation(metric, checked, InputXGradient(checked.network()))
    expected = "the same scores where neither network nor explainer is there, as needs_network = False says"
    fix = "leave needs_network as it is, True"
    scores = scored(metric, explanation).scores
    try:
        alone = checked.made().score(without_network(explanation))
    except Exception as error:
        yield Finding(expected, f"{type(error).__name__}: {error}", fix)
        return
    if not np.array_equal(alone, scores, equal_nan=True):
        yield Finding(expected, apart(alone, scores), fix)


def _scores(checked: Checked) -> Iterator[Finding]:
    questions = len(checked.questions[0])
    expected = f"float scores {(questions,)} from score: one number per question"
    scores = _score(checked, checked.made()).scores
    if not isinstance(scores, np.ndarray) or not np.issubdtype(scores.dtype, np.floating):
        kind = f"an array of {scores.dtype}" if isinstance(scores, np.ndarray) else f"a {type(scores).__name__}"
        yield Finding(expected, kind, "return a NumPy array of float64")
    if scores.shape != (questions,):
        yield Finding(expected, f"shape {scores.shape}", "give one number for each map of explanation.maps")
    if not np.isfinite(scores).any():
        expected = "numbers for finite maps with an order; NaN only where a question cannot be scored"
        yield Finding(expected, f"{scores.tolist()}", "look for divisions by 0 and for NaN that spreads")
    if np.isinf(scores).any():
        yield Finding("numbers or NaN", "infinity", "look for divisions by 0")


def _direct_call(checked: Checked) -> Iterator[Finding]:
    metric, images = checked.made(), Tensor(checked.images)
    labels = np.arange(len(checked.images)) % checked.classes
    mask = np.zeros((len(labels), 1, *checked.images.shape[2:]), np.bool_)
    mask[:, :, 1:4, 2:] = True
    scores = metric.evaluate(InputXGradient(checked.network()), images, labels, mask=mask)
    if np.shape(scores) != (len(labels),):
        expected = f"scores {(len(labels),)} from evaluate"
        yield Finding(expected, f"shape {np.shape(scores)}", "leave evaluate to Metric, write score")


def _not_finite(checked: Checked) -> Iterator[Finding]:
    for number in (np.nan, np.inf):
        scores = _score(checked, checked.made(), number).scores
        if not np.isnan(scores).all():
            fix = "write np.where(explanation.rankable, scores, np.nan), or look at the maps with np.isfinite"
            found = f"{int(np.sum(~np.isnan(scores)))} of {len(scores)} that are not NaN, such as {_some(scores)}"
            yield Finding(f"NaN for maps that hold {number}", found, fix)


def _random_numbers(checked: Checked) -> Iterator[Finding]:
    metrics = [checked.made() for _ in range(2)]
    explanations = [checked_explanation(metric, checked, InputXGradient(checked.network())) for metric in metrics]
    before, found = random_states(), []
    for metric, explanation in zip(metrics, explanations, strict=True):
        found.append(scored(metric, explanation).scores)
        after = random_states()
        for package in before:
            if after[package] != before[package]:
                left = "the process's random generators as they were"
                yield Finding(left, f"that of {package} was drawn from or seeded", _GENERATOR)
    if not np.array_equal(found[0], found[1], equal_nan=True):
        expected = "the same scores, bit for bit, from two objects made alike under the same seed"
        yield Finding(expected, apart(*found), _GENERATOR)


def _no_state(checked: Checked) -> Iterator[Finding]:
    metric = checked.made()
    first = _score(checked, metric).scores
    turned = Checked(checked.kind, checked.images[::-1].copy(), checked.arguments)
    _score(turned, metric)
    again = _score(checked, metric).scores
    if not np.array_equal(first, again, equal_nan=True):
        fix = "keep nothing in self from call to call"
        yield Finding("the same scores again, other maps having come between", apart(first, again), fix)


def _neighbours(checked: Checked) -> Iterator[Finding]:
    metric, everyone = checked.made(), np.arange(len(checked.questions[0]))
    together = _score(checked, metric).scores
    order = np.roll(everyone[::-1], 1)
    for how, chosen in (
        ("in another order", order),
        ("beside fewer", everyone[: len(everyone) // 2]),
        *((f"alone, of question {place}", everyone[[place]]) for place in everyone),
    ):
        scores = _score(checked, metric, chosen=chosen).scores
        if not np.array_equal(scores, together[chosen], equal_nan=True):
            yield Finding(f"the same scores {how}", apart(scores, together[chosen]), _EACH_ALONE)


def _curves(checked: Checked) -> Iterator[Finding]:
    if "curves" not in checked.parameters:
        return
    metric, without = checked.made(curves=True), checked.made(curves=False)
    names, questions = metric.kept_curves, len(checked.questions[0])
    if not names or without.kept_curves:
        expected = "kept_curves to be the names of its curves where it is given curves=True, else empty"
        fix = "derive from CurveMetric, and keep the argument as self.keeps_curves"
        yield Finding(expected, f"{names} and {without.kept_curves}", fix)
    scores, curves = metric.scores_and_curves(checked_explanation(metric, checked, InputXGradient(checked.network())))
    plain = _score(checked, without).scores
    if not np.array_equal(scores, plain, equal_nan=True):
        yield Finding("the same scores with curves kept and without", apart(scores, plain), "make scores of the curves")
    if len(curves) != questions or any(len(one) != len(names) for one in curves if one is not None):
        found = f"{[None if one is None else len(one) for one in curves]}"
        yield Finding(f"for each of {questions} questions {len(names)} curves, or None", found, "give one by name")
    for across, heights in (points for one in curves if one is not None for points in one):
        if np.shape(across) != np.shape(heights) or np.ndim(across) != 1 or not np.isfinite(across).all():
            expected = "numbers where the points of a curve lie, as many as heights"
            yield Finding(expected, f"{across} of heights {heights}", "give CurvePoints(across, heights)")


def _shared_arrays(checked: Checked) -> Iterator[Finding]:
    metric = checked.made()
    explanation = checked_explanation(metric, checked, InputXGradient(checked.network()))
    view = explanation.view
    arrays: Arrays = {"explanation.maps": explanation.maps, "view.images": view.images, "view.logits": view.logits}
    if explanation.masks is not None:
        arrays["explanation.masks"] = explanation.masks
    before = {name: array.copy() for name, array in arrays.items()}
    scored(metric, explanation)
    for name in changed_arrays(before, arrays):
        yield Finding(f"{name} as it was", "other numbers in it", "work on a copy: other metrics see the same arrays")


def _passes(checked: Checked) -> Iterator[Finding]:
    found = _score(checked, checked.made())
    if found.made != found.needed:
        expected = f"passes as it says that it needs: {dict(found.needed)}"
        fix = "name covered images in covering, and report others to explanation.count_passes(kind, images)"
        yield Finding(expected, f"{dict(found.made)}", fix)


def _network_left(checked: Checked) -> Iterator[Finding]:
    network = checked.network()
    Network(network).logits(checked.images)  # a first call makes empty tables of hooks
    with half_training(network):
        before, metric = network_state(network), checked.made(network)
        scored(metric, checked_explanation(metric, checked, InputXGradient(network)))
        after = network_state(network)
    for what in changes(before, after):
        fix = "run the network through explanation.view.network"
        yield Finding("the network as it was found", f"another {what}", fix)


def _score(
    checked: Checked,
    metric: Metric,
    number: float | None = None,
    chosen: IntArray | None = None,
    *,
    masked: bool | None = None,
) -> Scored:
    """What a metric gives for maps that are finite, or all hold a number."""
    network = checked.network()
    explainer = InputXGradient(network) if number is None else Spoiled(network, number)
    return scored(metric, checked_explanation(metric, checked, explainer, chosen, masked=masked))


def _some(scores: Any) -> float:
    return float(scores[~np.isnan(scores)][0])


def _checked(kind: type[Any], images: FloatArray | None, arguments: dict[str, Any]) -> Checked:
    return Checked.of(Metric, kind, images, arguments)


METRIC_RULES = tuple(
    Rule(name, says, broken, _checked)
    for name, says, broken in (
        ("constructor", "it passes num_labels and name on where it takes them", _constructor),
        ("boxes", "masks are read only where needs_boxes says so", _boxes),
        ("network needed", "the network is asked only where needs_network says so", _network_needed),
        ("scores", "score gives a number for each question with a finite map, or NaN", _scores),
        ("direct call", "evaluate gives scores (N,)", _direct_call),
        ("not finite", "a map that is not finite is scored NaN", _not_finite),
        ("random numbers", "what is drawn comes from the sample's own generator", _random_numbers),
        ("no state", "nothing is kept from call to call", _no_state),
        ("neighbours", "a score does not depend, by a bit, on what else is asked, nor in which order", _neighbours),
        ("curves", "curves that it keeps are as it names them, and change no score", _curves),
        ("shared arrays", "arrays that others see are left as they are", _shared_arrays),
        ("passes", "the passes that are made are those that it says", _passes),
        ("network", "the network is left as it was found", _network_left),
    )
)


def check_metric(kind: type[Metric], /, *, images: FloatArray | None = None, **arguments: Any) -> None:
    """Check a class by all that a metric keeps to: ``METRIC_RULES``, one after the other.

    It scores maps of a tiny network, which lie on boxes where the class has ``needs_boxes``. Its constructor's
    arguments ``num_labels``, ``activation_fn``, ``network``, ``layer`` and ``explainer`` are filled in where it has
    them and they are not given.

    Args:
        kind: a subclass of ``Metric``.
        images: (N, C, H, W) for a network of your own; by default five of (3, 12, 16).
        arguments: for the constructor; ``network`` also if it has none of that name, for the maps to be of.

    Raises:
        ContractError: with the first rule that it breaks, what was expected and found, and how to fix it.
        TypeError: if it is not a metric, or its constructor needs an argument that is not given.
    """
    for rule in METRIC_RULES:
        rule(kind, images=images, **arguments)
