"""YAML in which no key may stand twice, and that is not much larger than it looks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from ..summary_format.problem import Problem
from ..summary_format.untrusted.regular_files import read_regular

_MOST_BYTES, _DEEPEST = 2**20, 100  # PyYAML takes seconds for a megabyte, and longer for what nests
_MERGE = "tag:yaml.org,2002:merge"
_MOST_EXPANDED = 4 * 2**20  # a file without aliases comes to less


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, refusing a key that stands twice in a mapping, of which it would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = ["<<" if key.tag == _MERGE else self.construct_object(key, deep=True) for key, _ in node.value]
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


def yaml_value(text: str) -> Any:
    """What a text in YAML means.

    Raises:
        yaml.YAMLError: if it is not YAML, or a key stands twice.
        ValueError: if its aliases stand for too much, or it nests too deep.
    """
    loader = UniqueKeyLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_expanded(node)
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError(f"it nests more than {_DEEPEST} deep") from None
    finally:
        loader.dispose()


def _check_expanded(root: yaml.Node) -> None:
    """Refuse aliases that, each written out, make much of little: nine lines of nine each are 387 million.

    Whoever checks, copies or writes down what was read comes by everything as often as it stands there.

    Raises:
        ValueError: with how far it goes.
    """
    sizes: dict[int, tuple[int, int]] = {}  # characters and depth by node, (0, 0) while it is looked at

    def measured(node: yaml.Node) -> tuple[int, int]:
        if id(node) not in sizes:
            sizes[id(node)] = 0, 0
            inner = [measured(one) for one in _inside(node)]
            size = 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else sum(one for one, _ in inner))
            sizes[id(node)] = size, 1 + max((depth for _, depth in inner), default=0)
        elif sizes[id(node)] == (0, 0):
            raise ValueError("an alias stands for what it lies in")
        return sizes[id(node)]

    size, depth = measured(root)
    if depth > _DEEPEST:
        raise ValueError(f"it nests more than {_DEEPEST} deep")
    if size > _MOST_EXPANDED:
        raise ValueError(f"its aliases written out make more than {_MOST_EXPANDED // 2**20} MiB; write less by them")


def _inside(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def yaml_mapping(path: Path) -> dict[Any, Any]:
    """The mapping that a file holds.

    Raises:
        ValueError: if it cannot be read or holds something else; the message names the file.
    """
    try:
        content = yaml_value(_text(path))
    except (OSError, ValueError, yaml.YAMLError) as error:
        words, said = "cannot read {file}: {said}", " ".join(str(error).split())
        raise ValueError(Problem.of("yaml-unreadable", words, file=path, said=said)) from error
    if not isinstance(content, dict):
        words = "{file} must hold a mapping, it holds {kind}"
        raise ValueError(Problem.of("yaml-no-mapping", words, file=path, kind=type(content).__name__))
    return content
