"""What users hand in that somebody else may have made to do harm: checkpoints, data files, configs, names, folders."""

import os
import re
import struct
import subprocess
import sys

import h5py
import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.train.checkpoint_pb2 import Checkpoint
from PIL import Image

from explainrun.explainers import Gradient, OoDNet
from explainrun.explainers.ood.checkpoints import read_checkpoint
from explainrun.runner import ImageClassificationRunner, PlanError
from explainrun.runner.config.build import class_names_of
from explainrun.runner.config.factories import load_network
from explainrun.runner.config.schema import load_config
from explainrun.runner.data.file_datasets import csv_dataset, hdf5_dataset
from explainrun.runner.data.pictures import PictureError
from explainrun.runner.data.samples import SampleError, read_samples
from explainrun.runner.figures.pictures import read_picture
from explainrun.summary_format import Results, find_runs, read_summary


def checkpoint(path, *parts):
    message = Checkpoint()
    for name, shape, kind, content in parts:
        element = message.value.add(tag=name)
        element.tensor.dims.extend(shape)
        element.tensor.tensor_type, element.tensor.tensor_content = kind, content
    path.write_bytes(message.SerializeToString())
    return path


def test_checkpoints_come_back(tmp_path):
    numbers = {
        "half": ms.Tensor([[1.5, 2.5]], ms.bfloat16), "one": ms.Tensor(7, ms.int64), "yes": ms.Tensor([True, False]),
    }  # fmt: skip
    saved = [{"name": name, "data": value} for name, value in numbers.items()]
    for checks in (False, True):
        ms.save_checkpoint(saved, str(tmp_path / "a.ckpt"), append_info={"epoch": 3, "by": "me"}, crc_check=checks)
        found = read_checkpoint(tmp_path / "a.ckpt")
        assert found["half"].astype(ms.float32).asnumpy().tolist() == [[1.5, 2.5]]
        assert (int(found["one"]), found["yes"].asnumpy().tolist()) == (7, [True, False])
        assert "by" not in found
    parts = [("a", [3, 2], "Float32", np.array(rows, "<f4").tobytes()) for rows in ([[1, 2]], [[3, 4], [5, 6]])]
    assert read_checkpoint(checkpoint(tmp_path / "b.ckpt", *parts))["a"].asnumpy().tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (("w", [1], "Float32", b"1234" * 100), r"'w' is of shape \[1\], which takes 4 bytes, and has 400"),
        (("w", [9, 9], "Float32", b"1234"), r"'w' is of shape \[9, 9\], which takes 324 bytes, and has 4"),
        (("w", [-4, -4], "Float32", b"1234" * 16), r"'w' is of shape \[-4, -4\]"),
        (("w", [2**31, 2**31], "Float32", b"1234"), ".*which takes 18446744073709551616 bytes"),
        (("w", [1], "Pickle", b"1234"), "'w' is of the unknown type 'Pickle'"),
        (("w", [1], "str", b"\xff" * 8), "'w' is not a text"),
    ],
)
def test_checkpoints_that_would_write_over_memory(tmp_path, part, words, raising):
    path = checkpoint(tmp_path / "a.ckpt", ("v", [1], "Float32", b"1234"), part)
    (tmp_path / "net.py").write_text("from mindspore import nn\ndef net():\n    return nn.Dense(2, 1)\n")
    with raising(ValueError, "not-a-checkpoint", file=str(path), why=re.compile(f"^: {words}")):
        load_network("net.py:net", "a.ckpt", tmp_path)
    underlying = nn.Dense(2, 1)
    underlying.num_features, underlying.output_features = 2, False
    with raising(ValueError, "not-a-checkpoint", file=str(path), why=re.compile(f"^: {words}")):
        OoDNet(underlying, 1).load_head(path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["a.ckpt", "a.pkl", "a.pt", "a.npz", "a.safetensors"])
def test_a_checkpoint_is_never_unpickled(tmp_path, monkeypatch, name, raising):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(__import__("pickle").dumps(Bomb()))
    with raising(ValueError, "not-a-checkpoint", file=str(tmp_path / name)):
        read_checkpoint(tmp_path / name)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("tag", ["apply:os.mkdir [made]", "object:os.system {}", "name:os.system", "module:os"])
def test_yaml_makes_nothing_but_plain_values(tmp_path, monkeypatch, tag, raising):
    monkeypatch.chdir(tmp_path)
    harm = f"!!python/{'object/' * tag.startswith('apply')}{tag}"
    (tmp_path / "a.yaml").write_text(f"summary_dir: {harm}\n")
    with raising(PlanError, "yaml-unreadable", said=re.compile("could not determine a constructor")):
        load_config("a.yaml")
    (tmp_path / "a.yaml").write_text("summary_dir: a\n")
    command = [sys.executable, "-m", "explainrun", "run", "a.yaml", "--set", f"summary_dir={harm}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "is not YAML" in ended.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.fixture
def secret(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["images"] = np.zeros((2, 1, 2, 3), np.uint8)
    (tmp_path / "raw").write_bytes(bytes(12))
    return tmp_path


def virtual(folder):
    layout = h5py.VirtualLayout((2, 1, 2, 3), "u1")
    layout[...] = h5py.VirtualSource(str(folder / "secret.h5"), "images", (2, 1, 2, 3))
    return layout


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda f, d: f.__setitem__("images", h5py.ExternalLink(str(d / "secret.h5"), "/images")), "reached by a link"),
        (lambda f, d: f.__setitem__("images", h5py.ExternalLink(str(d / "none.h5"), "/images")), "reached by a link"),
        (lambda f, _: f.__setitem__("images", h5py.SoftLink("/images")), "images is reached by a link"),
        (
            lambda f, d: f.create_dataset("images", (2, 1, 2, 3), "u1", external=[(str(d / "raw"), 0, 12)]),
            "images takes its values from other files",
        ),
        (lambda f, d: f.create_virtual_dataset("images", virtual(d)), "images takes its values from other files"),
        (lambda f, _: f.create_dataset("images", (2,), h5py.vlen_dtype("u1")), "images must hold rows of numbers"),
        (lambda f, _: f.create_dataset("images", data=3), "images must hold rows of numbers"),
        (lambda f, _: f.create_group("images"), "images is not a dataset"),
    ],
)
def test_a_data_file_does_not_bring_in_other_files(secret, make, words):
    with h5py.File(secret / "data.h5", "w") as file:
        make(file, secret)
    with pytest.raises(ValueError, match=f"data.h5: .*{words}"):
        hdf5_dataset(secret / "data.h5")


def test_a_picture_starts_no_program_and_fills_no_memory(tmp_path, monkeypatch, raising):
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "a.eps")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.eps").read_bytes())
    monkeypatch.setattr(subprocess, "check_call", None)  # what Pillow starts Ghostscript with
    for name in ("a.eps", "b.png"):
        with raising(PictureError, "picture-kind", source=str(tmp_path / name)):
            read_picture(tmp_path / name)
    (tmp_path / "a.csv").write_text("image\nb.png\n")
    with raising(SampleError, "sample-broken", said=f"{tmp_path / 'b.png'} is not a picture of a known kind"):
        next(read_samples(csv_dataset(tmp_path / "a.csv", ["x"]), 1))
    huge = bytearray(png_of(tmp_path))
    huge[16:24] = struct.pack(">II", 60_000, 60_000)
    huge[29:33] = struct.pack(">I", __import__("zlib").crc32(huge[12:29]))
    (tmp_path / "c.png").write_bytes(huge)
    with raising(
        PictureError,
        "picture-unreadable",
        source=str(tmp_path / "c.png"),
        said=re.compile("more than 178,956,970 pixels"),
    ):
        read_picture(tmp_path / "c.png")


def png_of(folder):
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(folder / "small.png")
    return (folder / "small.png").read_bytes()


@pytest.mark.parametrize("address", ["file:///etc/hostname", "FILE:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_no_other_address_than_http(address, raising):
    with raising(PictureError, "no-picture", source=address):
        read_picture(address)


STRANGE = [
    "two words", "a/b\\c", "..", "C:\\x", "'single' \"double\"", "<script>alert('&')</script>", "line\nbreak\ttab",
    "e\u0301 and \xe9", "\u05d0\u202e\u05d1 right to left", "\U0001f600\u200d\U0001f468", "nan", "1e5", "x" * 3000,
]  # fmt: skip


@pytest.mark.slow
def test_strange_class_names_come_back(two_channels, dataset, tmp_path, scenes):
    network, folder = two_channels(), tmp_path / 'it\'s "a"\nfolder \U0001f600 <b>'
    for pair in range(0, len(STRANGE) - 1, 2):
        names = STRANGE[pair : pair + 2]
        runner = ImageClassificationRunner(folder, (dataset(list(scenes(3))), names), network, nn.Sigmoid())
        runner.register_saliency([Gradient(network, name="maps"), Gradient(network, name="scores <i>&'")], [])
        result = runner.run(overwrite=True)
        assert result.plan["class_names"] == names
        assert read_summary(folder).metadata.labels == tuple(names)
        assert read_summary(folder).metadata.explainers == ("maps", "scores <i>&'")
        results = Results(folder)
        assert results.class_names == tuple(names)
        assert results.maps("maps").tobytes() == results.maps("scores <i>&'").tobytes()
        with h5py.File(find_runs(folder)[0].archive) as file:
            assert file["class_names"].asstr()[:].tolist() == names
    assert "<b>" not in result._repr_html_()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_strange_class_names_in_tables():
    from explainrun.runner.execution.run_result import Scores  # noqa: PLC0415

    scores = Scores(
        class_names=tuple(STRANGE),
        explainers=("A<b>",),
        metrics=("M<i>",),
        sample_ids=[0],
        labels=[5],
        values={("A<b>", "M<i>"): [0.5]},
    )
    page = scores.label_table("M<i>", "html")
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page
    assert "1e5" in scores.label_table("M<i>")
    assert scores.aggregate("A<b>", "M<i>", STRANGE[5]).mean == 0.5


@pytest.mark.parametrize(
    ("classes", "explainers", "code", "values"),
    [
        (["a\0b", "c"], ["A"], "name-unwritable", {"kind": "class name", "name": "a\0b"}),
        (["a\ud800", "c"], ["A"], "name-unwritable", {"kind": "class name", "name": "a\ud800"}),
        (["a", "b"], ["a\0"], "name-unwritable", {"kind": "explainer name", "name": "a\0"}),
        (["a", "b"], ["\udcff"], "name-unwritable", {"kind": "explainer name", "name": "\udcff"}),
        (["a", "b"], [".."], "name-no-folder", {"kind": "explainer name", "name": ".."}),
        (["a", "b"], ["/etc/x"], "name-no-folder", {"name": "/etc/x"}),
        (["a", "b"], ["C:\\x"], "name-no-folder", {"name": "C:\\x"}),
        (["a", "b"], ["a\nb"], "name-no-folder", {"name": "a\nb"}),
        (["a", "b"], ["x" * 300], "name-too-long", {"start": "x" * 20}),
        (["a", "b"], ["GradCAM", "gradcam"], "names-alike", {"names": ["GradCAM", "gradcam"]}),
        (["a", "b"], ["\xe9", "e\u0301"], "names-alike", {"names": ["\xe9", "e\u0301"]}),
        (["a", "b"], ["stra\xdfe", "STRASSE"], "names-alike", {"names": ["stra\xdfe", "STRASSE"]}),
    ],
)
def test_names_that_are_refused(raising, two_channels, dataset, tmp_path, scenes, classes, explainers, code, values):
    network = two_channels()
    runner = ImageClassificationRunner(tmp_path / "run", (dataset(list(scenes(3))), classes), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network, name=name) for name in explainers], [])
    with raising(PlanError, code, **values):
        runner.run()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_refused_where_a_run_stands(make_runner, two_channels, dataset, tmp_path, scenes, raising):
    make_runner().run(limit=1)
    network = two_channels()
    runner = ImageClassificationRunner(
        tmp_path / "run", (dataset(list(scenes(3))), ["a\ud800", "b"]), network, nn.ReLU()
    )
    runner.register_saliency([Gradient(network)], [])
    for overwrite in (False, True):
        with raising(PlanError, "name-unwritable", kind="class name", name="a\ud800"):
            runner.run(overwrite=overwrite)
    assert find_runs(tmp_path / "run")[0].finished


def test_a_plan_names_more_classes_than_options_may_list(two_channels, dataset, tmp_path, scenes):
    names, network = [f"class {i}" for i in range(1001)], two_channels()
    runner = ImageClassificationRunner(tmp_path / "run", (dataset(list(scenes(3))), names), network, nn.Sigmoid())
    runner.register_saliency([Gradient(network)], [])
    assert runner.plan().described.raw["class_names"] == names


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a\0b", "folder-name-unwritable"),
        ("a\ud800", "folder-name-unwritable"),
        ("x" * 300, "folder-impossible"),
    ],
)
def test_folders_that_cannot_be(raising, make_runner, tmp_path, name, code):
    for overwrite in (False, True):
        with raising(PlanError, code):
            make_runner(name).run(overwrite=overwrite)
    assert list(tmp_path.iterdir()) == []


def test_a_run_behind_links_is_not_gone_on_with(make_runner, tmp_path, kill, raising):
    kill(make_runner().run, batch=1, commits=1)
    run, away = find_runs(tmp_path / "run")[0], tmp_path / "away"
    (run.data / "heatmap").rename(away)
    before = sorted(away.rglob("*"))
    (run.data / "heatmap").symlink_to(away)
    with raising(PlanError, "folder-holds-link", folder=str(tmp_path / "run"), link="heatmap"):
        make_runner().run()
    make_runner().run(overwrite=True)
    assert sorted(away.rglob("*")) == before


@pytest.mark.parametrize("state", [{"plan": 3, "replaces": False}, {"plan": {}, "replaces": False}, {"plan": None}])
def test_a_plan_file_of_something_else_is_told(make_runner, tmp_path, kill, state, raising):
    kill(make_runner().run, batch=1, commits=1)
    run = find_runs(tmp_path / "run")[0]
    (run.data / "plan.json").unlink()
    run.write_state(state)
    with raising(PlanError, "folder-holds-unknown-run", kind="an unfinished"):
        make_runner().run()


def test_class_names_of_a_file_end_with_its_lines(tmp_path, raising):
    (tmp_path / "names").write_bytes("\ufeffone\u2028still one\r\ntwo\x0b\x85\n".encode())
    assert class_names_of("names", tmp_path) == ["one\u2028still one", "two\x0b\x85"]
    (tmp_path / "names").write_bytes(b"\n")
    with raising(ValueError, "no-class-names"):
        class_names_of("names", tmp_path)
