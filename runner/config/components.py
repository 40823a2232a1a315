"""What makes the explainers and metrics that a config names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from mindspore import nn

from ...benchmarks import Focus
from ...explainers import EXPLAINERS, OoDNet, Registry
from ...explainers.core.sample_pool import SamplePool
from ...summary_format.errors import nearest_or_place
from ...summary_format.problem import Problem
from ..data.array_files import labelled_images
from ..plan.options import SETTINGS

Entry = Any  # a name, or a mapping from one name to its options


def component_factory(
    registry: Registry,
    entry: Entry,
    given: Mapping[str, Any],
    folder: Path,
    statistics: Mapping[str, Any],
) -> partial[Any]:
    """What makes the thing that an entry names, handed those given arguments that its constructor takes.

    Args:
        registry: where the name is known.
        entry: a name, or a mapping from one name to its options.
        given: arguments by name: "network" (None where there is none) among them, which is a keyword of what makes
            whatever needs one.
        folder: what paths are relative to.
        statistics: "mean" and "std", by which images of files are normalised; None where they are not.

    Raises:
        ValueError: if the entry is something else, or the name or an option is unknown or lacking, or a file that it
            names does not hold what it should.
        OSError: if that cannot be read.
    """
    name, options = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (entry, None)
    if not isinstance(name, str) or not isinstance(options, (dict, type(None))):
        words = "an entry is a name or a mapping from one name to its options, got {given!r}"
        raise ValueError(Problem.of("entry-malformed", words, given=entry))
    made = registry[name]
    parameters = signature(made).parameters
    for option in options or {}:
        if option not in parameters or option in given:
            words, near = "{name} has no option {option!r}; {nearest}", _hint(option, name, registry, given)
            raise ValueError(Problem.of("option-unknown", words, name=name, option=option, nearest=near))
    options = dict(options or {})
    lacking = [key for key, one in parameters.items() if one.default is one.empty and key not in {*given, *options}]
    if lacking:
        words = "{name} needs the option {options:repr and}"
        raise ValueError(Problem.of("option-missing", words, name=name, options=lacking))
    takes_ood_net = "ood_net" in options and parameters["ood_net"].annotation in (OoDNet, OoDNet.__name__)
    if takes_ood_net and given["network"] is not None:
        options["ood_net"] = _ood_net(folder / options["ood_net"], given["network"], given["num_labels"])
    partners = options.get("partners")
    if made is Focus and isinstance(partners, str) and SamplePool.of(partners) is None:
        options["partners"] = labelled_images(folder / partners, statistics["mean"], statistics["std"])
    options |= {key: value for key, value in given.items() if key in parameters}
    if registry is EXPLAINERS and "explainer" in options:
        inner = component_factory(registry, options.pop("explainer"), given, folder, statistics)
        return partial(_around, made, inner, options, network=given["network"])
    return partial(made, **options)


def _hint(option: str, name: str, registry: Registry, given: Mapping[str, Any]) -> str:
    """To what an option belongs that something of a name has not, or which of its own are like it."""
    known = {}
    for one in registry:
        with suppress(Exception):  # what another package registers may not be importable
            known[one] = set(signature(registry[one]).parameters) - set(given)
    return nearest_or_place(option, known.pop(name), {"the run": {*SETTINGS, "limit"}, **known})


def _around(made: Any, inner: partial[Any], options: Mapping[str, Any], network: nn.Cell) -> Any:
    """An explainer around another one; the network is the inner one's already."""
    return made(explainer=inner(), **options)


def _ood_net(checkpoint: Path, network: nn.Cell, num_labels: int) -> OoDNet:
    """An OoDNet over the config's network, its head from a checkpoint."""
    ood_net = OoDNet(network, num_labels)
    ood_net.load_head(checkpoint)
    return ood_net
