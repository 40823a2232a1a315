"""YAML files in which no key may stand twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from ..summary_format.problem import Problem
from ..summary_format.untrusted.regular_files import read_regular

_MOST_BYTES, _DEEPEST = 2**20, 100  # PyYAML takes seconds for a megabyte, and longer for what nests


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, refusing a key that stands twice in a mapping, of which it would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key, times in Counter(map(str, keys)).items() if times > 1]
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)

    def construct_yaml_set(self, node: yaml.MappingNode) -> Any:
        """Refuse a set, whose order differs from process to process."""
        raise yaml.constructor.ConstructorError(None, None, "a set has no order; write a list", node.start_mark)


UniqueKeyLoader.add_constructor("tag:yaml.org,2002:set", UniqueKeyLoader.construct_yaml_set)


def _text(path: Path) -> str:
    """What a file holds.

    Raises:
        ValueError: if it is too large, or its brackets nest so deep that PyYAML takes long over them.
    """
    text = read_regular(path, _MOST_BYTES).decode("utf-8-sig")
    depth = deepest = 0
    for one in text:
        depth += (one in "[{") - (one in "]}")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise ValueError(f"its brackets nest more than {_DEEPEST} deep")
    return text


def yaml_mapping(path: Path) -> dict[Any, Any]:
    """The mapping that a file holds.

    Raises:
        ValueError: if it cannot be read or holds something else; the message names the file.
    """
    try:
        content = yaml.load(_text(path), UniqueKeyLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        words, said = "cannot read {file}: {said}", " ".join(str(error).split())
        raise ValueError(Problem.of("yaml-unreadable", words, file=path, said=said)) from error
    if not isinstance(content, dict):
        words = "{file} must hold a mapping, it holds {kind}"
        raise ValueError(Problem.of("yaml-no-mapping", words, file=path, kind=type(content).__name__))
    return content
