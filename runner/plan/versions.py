"""The versions on which what a run computes may depend."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

from ...summary_format.problem import Problem
from ..problems import PlanError

_PACKAGES = ("explainrun", "mindspore", "numpy", "scipy")


def versions() -> dict[str, str]:
    """Of the packages that compute, and of Python, in this process; loads none of them."""
    return {**{package: version(package) for package in _PACKAGES}, "python": platform.python_version()}


def check_versions(wanted: Mapping[str, str]) -> None:
    """Refuse to work for a process that has other versions than this one.

    Raises:
        PlanError: then.
    """
    ours = versions()
    apart = [f"{name} {ours.get(name)} instead of {wanted[name]}" for name in wanted if ours.get(name) != wanted[name]]
    if apart:
        words = "the worker has {versions:and}; install the same everywhere"
        raise PlanError([Problem.of("worker-version", words, versions=apart)])
