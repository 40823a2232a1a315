"""What counts as the code of a function or class: the user's own that it names, and nothing else."""

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from itertools import count

import pytest
from mindspore import nn

from explainrun.explainers import Gradient
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.plan.code_fingerprint import fingerprint_user_code, unversioned_code
from explainrun.runner.plan.network_fingerprint import structure_digest

FIRST = """\
import helper, functools
import mindspore as ms
import numpy as np
from helper import head

SCALE, ARRAY, calls = 2, np.arange(2000), 0

def double(x): return x * 2
def near(x): return double(x)
def unrelated(x): return x * 7
def constants(x): return x * SCALE * ARRAY if x in {"p", "q", "r"} else None
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def inner(x): return [(lambda y: double(y))(z) for z in x]
def within(x): return helper.head(x)
def copied(x): return head(x)
def counting(x):
    global calls
    calls += 1
    return x
@ms.jit
def compiled(x): return double(x)
@functools.lru_cache
def cached(x): return double(x)
part = functools.partial(double)
def parted(x): return part(x)

class Base:
    def above(self, x): return x + 1
class Derived(Base):
    @property
    def a(self): return double(1)
    @staticmethod
    def b(x): return x * SCALE
    @classmethod
    def c(cls): return helper.head(3)
"""
HELPER = """\
import deep
SHIFT = 1
def head(x): return deep.below(x) + SHIFT
def unrelated(x): return 1
"""
CALLING = """\
from mindspore import nn
import helper

class Calling(nn.Cell):
    def construct(self, x):
        return helper.head(x).reshape(x.shape[0], -1)[:, :2]
"""
FILES = {"first": FIRST, "helper": HELPER, "deep": "def below(x): return x - 1\n", "calling": CALLING}
NAMES = (
    "near",
    "constants",
    "even",
    "inner",
    "within",
    "copied",
    "counting",
    "compiled",
    "cached",
    "parted",
    "Derived",
)
DOUBLED = {"near", "inner", "compiled", "cached", "parted", "Derived"}
WITHIN = {"within", "copied", "Derived"}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the files, with replacements in them, to a folder of its own, and imports them anew."""
    numbers = count()

    def write(changes=(), order=("first",)):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        texts = dict(FILES)
        for module, old, new in changes:
            assert old in texts[module]
            texts[module] = texts[module].replace(old, new)
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        return [import_module(name) for name in order][-1]

    yield write
    for name in FILES:
        sys.modules.pop(name, None)


def digests(module):
    return {name: fingerprint_user_code(getattr(module, name)) for name in NAMES}


@pytest.mark.parametrize(
    ("changed", "module", "old", "new"),
    [
        (DOUBLED, "first", "return x * 2", "return x * 3"),
        (WITHIN, "helper", "+ SHIFT", "- SHIFT"),
        (WITHIN, "helper", "SHIFT = 1", "SHIFT = 2"),
        (WITHIN, "deep", "x - 1", "x - 2"),
        ({"constants", "Derived"}, "first", "calls = 2", "calls = 4"),
        ({"constants"}, "first", "np.arange(2000)", "np.where(np.arange(2000) == 1000, 0, np.arange(2000))"),
        ({"constants"}, "first", '{"p", "q", "r"}', '{"p", "q", "s"}'),
        ({"even"}, "first", "n != 0 and", "n != 1 and"),
        ({"Derived"}, "first", "return x + 1", "return x + 2"),
        (set(), "first", "return x * 7", "return x + 8"),
        (set(), "helper", "return 1", "return 2"),
        (set(), "first", "def double", "# a line more\ndef double"),
    ],
)
def test_what_counts(written, changed, module, old, new):
    before, after = digests(written()), digests(written([(module, old, new)]))
    assert {name for name in NAMES if before[name] != after[name]} == changed


def test_neither_calls_nor_the_order_of_imports_count(written):
    before = digests(module := written())
    module.counting(1)
    module.cached(1)
    assert digests(module) == before == digests(written(order=["deep", "helper", "first"]))


@pytest.mark.slow
def test_every_process_finds_the_same(written, tmp_path):
    here = list(digests(written()).values())
    imports = "import first; from explainrun.runner.plan.code_fingerprint import fingerprint_user_code"
    program = f"{imports}; print([fingerprint_user_code(getattr(first, name)) for name in {NAMES}])"
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment, command = {"PATH": "", "PYTHONHASHSEED": other}, [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path / "0", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(here)


def test_strange_objects_are_not_asked():
    class Trap:
        @property
        def __class__(self):
            raise AssertionError

        def __getattr__(self, name):
            raise AssertionError

        __eq__ = __hash__ = __repr__ = __getattribute__ = __getattr__

    globals()["TRAP"] = Trap()
    try:
        assert fingerprint_user_code(lambda: TRAP) == fingerprint_user_code(lambda: TRAP)  # noqa: F821
    finally:
        del globals()["TRAP"]
    for thing in (int, nn.ReLU, eval("lambda x: x + y"), type("Made", (), {"f": eval("lambda self: 1")})):
        assert fingerprint_user_code(thing) == fingerprint_user_code(thing)


MADE = """\
import functools
import mindspore as ms
import helper
import inner.sub
from helper import counted

SIZES, NAMES, STEP = {"small": 1}, {"p", "q"}, ms.Tensor([1.0])

def keyword(x, *, by=2): return x * by
def defaulting(x, by={"a": 2}): return x * by["a"]
def long(x, by=helper.LONG): return x * by
def calling(x): return keyword(x) + defaulting(x) + long(x)
def making(by): return lambda x: x * by
twice, part = making(2), functools.partial(keyword, by=2)
def made(x): return twice(x)
def parted(x): return part(x)
def sized(x): return x * SIZES["small"] if x in NAMES else x * STEP
def deep(x): return inner.sub.below(x)
@counted
def decorated(x): return x

class Uses:
    blur = staticmethod(helper.below)
    Made = helper.Inner
    def f(self, x): return self.blur(x) + self.Made().f(x)

def classes(by):
    class Closing:
        def f(self, x): return x * by
    return Closing
Twofold = classes(2)
"""
MADE_HELPER = """\
import numpy as np
LONG = np.arange(3000)
def below(x): return x + 1
class Inner:
    def f(self, x): return x + 2
def counted(function):
    def around(x): return function(x) * 3
    return around
"""
CHANGED = {
    "calling": [("made", "by=2)", "by=3)"), ("made", '"a": 2}', '"a": 3}'), ("helper", "3000", "2999")],
    "made": [("made", "making(2)", "making(3)")],
    "parted": [("made", "keyword, by=2", "keyword, by=3")],
    "sized": [("made", '"small": 1', '"small": 2'), ("made", '{"p", "q"}', '{"p", "r"}'), ("made", "[1.0]", "[2.0]")],
    "deep": [("inner/sub", "x - 1", "x - 2")],
    "decorated": [("helper", "* 3", "* 4"), ("made", "def decorated(x): return x", "def decorated(x): return -x")],
    "Uses": [("helper", "x + 1", "x + 3"), ("helper", "x + 2", "x + 3")],
    "Twofold": [("made", "classes(2)", "classes(3)")],
}


@pytest.mark.parametrize(("name", "change"), [(name, change) for name, all_ in CHANGED.items() for change in all_])
def test_code_is_followed_through_all_that_holds_it(tmp_path, monkeypatch, name, change):
    files = {"made": MADE, "helper": MADE_HELPER, "inner/__init__": "", "inner/sub": "def below(x): return x - 1\n"}

    def digest(file, before, after):
        assert before in files[file]
        for place, text in files.items():
            path = tmp_path / f"{place}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace(before, after, 1) if place == file else text)
        for module in [one for one in sys.modules if one.partition(".")[0] in ("made", "helper", "inner")]:
            del sys.modules[module]
        importlib.invalidate_caches()
        return fingerprint_user_code(getattr(import_module("made"), name))

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file, before, after = change
    assert digest(file, before, before) == digest(file, before, before) != digest(file, before, after)


def test_a_class_without_source_is_also_its_constants():
    def made(factor):
        scope = {"__name__": "__main__"}
        exec(f"class Cell:\n    FACTOR, sizes = {factor}, [1, 2]\n    def f(self): return self.FACTOR", scope)
        return fingerprint_user_code(scope["Cell"])

    assert made(2) == made(2) != made(300)


def test_packages_of_another_environment_are_not_the_users_own(tmp_path, monkeypatch):
    def of(folder):
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "elsewhere.py").write_text(f"def inner(x): return '{folder}'\n")
        monkeypatch.syspath_prepend(place)
        sys.modules.pop("elsewhere", None)
        scope = {"elsewhere": import_module("elsewhere")}
        return fingerprint_user_code(eval("lambda x: elsewhere.inner(x)", scope))

    assert of("conda/lib/site-packages") == of("usr/lib/dist-packages") != of("project")


def test_a_module_may_be_called_as_one_of_pythons(tmp_path, monkeypatch):
    folders = (
        tmp_path / str(number) for number in count()
    )  # its own each: bytecode of the same second would be taken for it

    def of(formula):
        path = next(folders) / "chunk.py"
        path.parent.mkdir()
        path.write_text(f"def inner(x): return {formula}\n")  # Python 3.11 has a chunk too
        spec = importlib.util.spec_from_file_location("chunk", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "chunk", module)
        spec.loader.exec_module(module)
        return unversioned_code(module.inner)

    assert "chunk" in sys.stdlib_module_names or sys.version_info >= (3, 13)
    assert of("x + 1") == of("x + 1") != of("x + 2")
    assert unversioned_code(textwrap.dedent) == unversioned_code(dict) == unversioned_code(nn.ReLU) == ""


def test_a_class_of_mindspore_is_not_followed_wherever_it_lies(monkeypatch):
    monkeypatch.setattr("explainrun.runner.plan.code_fingerprint._INSTALLED", [])
    monkeypatch.setattr("explainrun.runner.plan.code_fingerprint._PACKAGES", set())
    read = []
    real = inspect.getsource
    monkeypatch.setattr(
        "explainrun.runner.plan.code_fingerprint.getsource", lambda thing: read.append(thing) or real(thing)
    )
    fingerprint_user_code(Holding)
    assert set(read) <= {Holding}


class Holding(nn.Cell):
    """Sums the pixels that a function lets through, for two classes."""

    def __init__(self, let):
        super().__init__()
        self.let = let

    def construct(self, x):
        return self.let(x).reshape(len(x), -1)[:, :2]


def test_functions_that_a_network_holds_count(written):
    one, same, other = (written(changes).near for changes in ((), (), [("first", "x * 2", "x * 3")]))
    assert structure_digest(Holding(one)) == structure_digest(Holding(same)) != structure_digest(Holding(other))


def test_a_run_of_another_helper_is_another_plan(written, dataset, scenes, kill, tmp_path, raising):
    def run(changes=(), **options):
        network = written(changes, ["calling"]).Calling()
        data = dataset(list(scenes(3))), ["a", "b"]
        made = ImageClassificationRunner(tmp_path / "run", data, network, nn.Sigmoid())
        made.register_saliency([Gradient(network)])
        return made.run(**options)

    assert not run().finished_before
    assert run([("helper", "return 1", "return 2")]).finished_before
    with raising(
        PlanError, "folder-holds-other-plan", kind="a finished", differences=re.compile("^network.structure was")
    ):
        run([("deep", "x - 1", "x * 2")])
    kill(lambda: run(overwrite=True))
    with raising(
        PlanError, "folder-holds-other-plan", kind="an unfinished", differences=re.compile("^network.structure was")
    ):
        run([("deep", "x - 1", "x * 2")])
