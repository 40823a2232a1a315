"""scripts/check_mindcv.py compares with one line a network, and its document holds the same."""

import re
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def check():
    place = spec_from_file_location("check_mindcv", ROOT / "scripts" / "check_mindcv.py")
    module = module_from_spec(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, place.name, module)  # where dataclasses look for it
        place.loader.exec_module(module)
    return module


def test_each_network_has_a_line_and_the_document_holds_it(check):
    expected = check.read_expected()
    assert list(expected) == list(check.NAMES)
    assert len(expected) >= 40
    assert check.DOCUMENT.read_text().endswith(check.table(expected))
    for line in expected.values():
        assert line.layer
        assert set(line.methods) == set(check.METHODS)
        assert set(line.methods.values()) <= {"runs", "zero", *check.WORDS.values()}


WORSE = [
    ({"layer": "layer3"}, "resnet18: the layer was 'layer4', is 'layer3'"),
    ({"reshape": [2, 2]}, "resnet18: the layer was 'layer4', is 'layer4 [2, 2]'"),
    ({"GradCAM": "zero"}, "resnet18: GradCAM was 'runs', is 'zero'"),
    ({"Gradient": "odd"}, "resnet18: Gradient was 'runs', is 'odd'"),
    ({"GuidedBackprop": "odd"}, "resnet18: GuidedBackprop was 'no ReLU', is 'odd'"),
]


@pytest.mark.parametrize(("changed", "sentence"), WORSE)
def test_what_is_worse_is_found(check, changed, sentence):
    was = {"Gradient": "runs", "GuidedBackprop": "no ReLU", "GradCAM": "runs", "LayerCAM": "zero", "Occlusion": "runs"}
    line = check.Line("layer4", None, was)
    methods = {**was, **{key: value for key, value in changed.items() if key in was}}
    now = replace(line, methods=methods, **{key: value for key, value in changed.items() if key not in was})
    assert check.compared({"resnet18": line}, {"resnet18": line}) == ([], [])
    assert check.compared({"resnet18": line}, {"resnet18": now}) == ([sentence], [])
    now = replace(line, methods={**was, "LayerCAM": "runs"})
    assert check.compared({"resnet18": line}, {"resnet18": now}) == ([], ["resnet18: LayerCAM was 'zero', is 'runs'"])


def test_a_network_without_a_line_is_worse(check):
    worse, better = check.compared({}, {"vgg11": check.Line("features")})
    assert [re.match(r"vgg11 is not in mindcv.json", one) is not None for one in worse] == [True]
    assert not better


def test_a_network_that_fails_gets_a_line_that_says_why(check, monkeypatch):
    def fails(name, side):
        raise RuntimeError("\n-----\nno kernel")

    monkeypatch.setattr(check, "explained", fails)
    line = check.looked_at("vgg11", 224)
    assert set(line.methods.values()) == {"RuntimeError: no kernel"}
    assert len(check.compared({"vgg11": check.Line("features")}, {"vgg11": line})[0]) == 1 + len(check.METHODS)
