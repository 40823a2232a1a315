"""The options of a run that say how it works, whatever it explains; a script, a config and a plan share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from ...explainers.arguments import real_number, whole_number, yes_or_no
from ...explainers.core.measured_size import PassSize as GivenSize
from ...explainers.core.measured_size import checked_pass_size
from ...explainers.network import DEFAULT_PASS_SIZE, Jit, Output
from ...explainers.network.graphs.library import checked_jit
from ...explainers.network.outputs import checked_output
from ...summary_format.problem import Problem
from ..data.class_names import ClassFinder
from .questions import TRUTH_AND_CONFIDENT, checked_labels, top_count_of

BLANK_FOLDER = Problem.of(
    "folder-blank", "summary_dir is blank; name a folder, such as runs/first, or . for the working folder"
)


def _channels(value: Any, info: ValidationInfo) -> Any:
    """A number or a list of them; arrays, tuples and NumPy's numbers become Python's."""
    plain = np.asarray(value).tolist() if isinstance(value, (np.ndarray, np.generic, tuple)) else value
    if plain is not None:
        for one in plain if isinstance(plain, list) else [plain]:
            real_number(one, str(info.field_name))
    return plain


def _divisors(value: Any, info: ValidationInfo) -> Any:
    plain = _channels(value, info)
    if any(one == 0 for one in (plain if isinstance(plain, list) else [plain])):
        raise ValueError(Problem.of("std-zero", "std must not be 0, got {given}", given=value))
    return plain


def _jit(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):  # YAML's on and off without quotes
        return "on" if value else "off"
    return checked_jit(value)


Channels = Annotated[list[float] | float | None, BeforeValidator(_channels)]
Divisors = Annotated[list[float] | float | None, BeforeValidator(_divisors)]
Labels = Annotated[str | list[int | str], BeforeValidator(checked_labels)]
Seed = Annotated[int, BeforeValidator(lambda value: whole_number(value, "seed", 0))]
PassSize = Annotated[GivenSize, BeforeValidator(checked_pass_size)]
_OUTPUT_SCHEMA = {"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}  # functions are for scripts
YesOrNo = Annotated[bool, BeforeValidator(lambda value, info: yes_or_no(value, info.field_name))]


class RunOptions(BaseModel):
    """How a run works, whatever it explains.

    A new option is a field here, an argument of ``ImageClassificationRunner``, and what it does.

    Attributes:
        mean: what was subtracted from the pixels, for each channel or for all.
        std: what they were divided by then.
        seed: what all randomness starts from, from 0.
        pass_size: images per pass, from 1; "auto" for what a measurement finds best.
        strict: whether a network output or a map that is not finite is an error, and a network that is not a function
            of its image.
        jit: "auto", "on" or "off": whether passes run compiled.
        labels: which labels of a sample are explained: a rule, or the classes.
        skip_broken: whether samples that cannot be read are left out, named and counted, instead of ending the run.
        output: which part of what the network returns is its logits: an index, a key, or in scripts a function; None
            for the only one that may be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: Channels = None
    std: Divisors = None
    seed: Seed = 0
    pass_size: PassSize = DEFAULT_PASS_SIZE
    strict: YesOrNo = Field(default=False, json_schema_extra={"compared": False})
    jit: Annotated[Jit, BeforeValidator(_jit)] = "auto"
    labels: Labels = TRUTH_AND_CONFIDENT
    skip_broken: YesOrNo = Field(default=False, json_schema_extra={"compared": False})
    output: Annotated[Output, PlainValidator(checked_output), WithJsonSchema(_OUTPUT_SCHEMA)] = None

    @property
    def asked(self) -> str | list[int]:
        """``labels``, with its classes as indices."""
        return self.labels if isinstance(self.labels, str) else [int(one) for one in self.labels]

    def of_classes(self, class_names: Sequence[str]) -> RunOptions:
        """The same, with classes that ``labels`` names as their indices.

        Raises:
            ValueError: if there is no such class, or "top-K" asks for more than there are.
        """
        top_count_of(self.labels, len(class_names))
        if isinstance(self.labels, str):
            return self
        finder = ClassFinder(class_names)
        return self.model_copy(update={"labels": sorted({finder.index(one) for one in self.labels})})

    @classmethod
    def checked(cls, **given: Any) -> RunOptions:
        """The options that a script gives.

        Raises:
            ValueError: if one is out of its range, naming it.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            problems = [option_problem(found) for found in error.errors()]
            raise ValueError(problems[0] if len(problems) == 1 else "; ".join(problems)) from None


def option_problem(found: Any) -> Problem:
    """One of pydantic's findings on run options, which ours raise themselves but for options that there are not."""
    raised = found.get("ctx", {}).get("error")
    return Problem(found["msg"]) if raised is None else Problem.from_error(raised)


SETTINGS = tuple(RunOptions.model_fields)
# Two starts that differ in these alone are of the same run.
UNCOMPARED = tuple(
    name for name, field in RunOptions.model_fields.items() if field.json_schema_extra == {"compared": False}
)
