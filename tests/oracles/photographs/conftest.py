"""EfficientNet-Lite0 as ``configs/photos.yaml`` has it, in both frameworks, and real photographs.

The weights go through the files that PyTorch writes of them. Right implementations differ by rounding where an input of
a ReLU6 lies so near to one of its kinks, 0 and 6, that it is on different sides in the two frameworks: where a method
differentiates, photographs with such an input are left out, and the table says how many are left. Captum knows ReLU
alone, so PyTorch's network has the class of its ReLU6 that captum takes for one, and that has the derivative of ReLU6.
"""

from importlib.util import module_from_spec, spec_from_file_location

import h5py
import numpy as np
import pytest
import torch
from cam_libraries import Subject
from mindspore import Tensor, nn

from explainrun.configs.photo_network import PhotoNetwork
from explainrun.runner.checkpoints.loading import load_checkpoint


@pytest.fixture(scope="session")
def lite0(data):
    """The folder of the weights and photographs."""
    folder = data / "lite0"
    if not folder.is_dir():
        pytest.skip(f"NOT COMPARED: EfficientNet-Lite0 and its photographs are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def weights(lite0):
    with np.load(lite0 / "lite0.npz") as file:
        return {name: torch.tensor(file[name]) for name in file.files}


@pytest.fixture(scope="session")
def network(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    torch.save(weights, path)
    made = PhotoNetwork()
    load_checkpoint(made, path)
    made.set_train(False)
    return made


@pytest.fixture(scope="session")
def torch_network(lite0, torch_relu6):
    place = spec_from_file_location("lite0", lite0 / "lite0.py")
    module = module_from_spec(place)
    place.loader.exec_module(module)
    made = module.torch_net(lite0 / "lite0.npz")
    for parent in list(made.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.ReLU6):
                setattr(parent, name, torch_relu6())
    return made


@pytest.fixture(scope="session")
def all_photos(lite0):
    """48 photographs as the network takes them, and their labels."""
    with h5py.File(lite0 / "photos_48.h5") as file:
        images, labels = file["images"][:], file["labels"][:]
    return ((images.astype(np.float32) - 127) / 128), labels.astype(np.int64)


def theirs_with_sides(network, images, relu6):
    """Logits, and for each ReLU6 on which side of its kinks each of its inputs lies."""
    found = []
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: found.append(side(inputs[0].numpy())))
        for module in network.modules()
        if isinstance(module, relu6)
    ]
    with torch.no_grad():
        logits = network(torch.tensor(images)).numpy()
    for hook in hooks:
        hook.remove()
    return logits, found


def ours_with_sides(network, images):
    found = []
    hooks = [
        cell.register_forward_pre_hook(lambda _, inputs: found.append(side(inputs[0].asnumpy())))
        for _, cell in network.cells_and_names()
        if isinstance(cell, nn.ReLU6)
    ]
    logits = network(Tensor(images)).asnumpy()
    for hook in hooks:
        hook.remove()
    return logits, found


def side(inputs):
    return (inputs > 0).astype(np.int8) + (inputs >= 6)


@pytest.fixture(scope="session")
def both(network, torch_network, torch_relu6):
    """Logits of images in both frameworks, and which have all inputs of ReLU6s on the same side of kinks in both."""

    def run(images):
        ours, our_sides = ours_with_sides(network, images)
        theirs, their_sides = theirs_with_sides(torch_network, images, torch_relu6)
        assert len(our_sides) == len(their_sides) == 33
        pairs = zip(our_sides, their_sides, strict=True)
        return ours, theirs, np.all([(a == b).all(axis=(1, 2, 3)) for a, b in pairs], axis=0)

    return run


@pytest.fixture(scope="session")
def of_all(all_photos, both):
    """What ``both`` gives of all photographs."""
    parts = [both(all_photos[0][start : start + 8]) for start in range(0, 48, 8)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


@pytest.fixture(scope="session")
def photos(all_photos, of_all):
    """Two photographs that keep to the same sides, their labels, and words on how many do."""
    (images, labels), kept = all_photos, of_all[2]
    chosen = np.flatnonzero(kept)
    assert len(chosen) >= 2
    how = f"photographs, {kept.sum()} of 48 on the same side of all kinks"
    return images[chosen[:2]], labels[chosen[:2]], how


@pytest.fixture(scope="session")
def parts(all_photos):
    """Eight parts of 96 x 80, and their labels: of a whole photograph some image on a way is too near to a kink."""
    return all_photos[0][:8, :, 60:156, 70:150].copy(), all_photos[1][:8]


@pytest.fixture(scope="session")
def on_ways(parts, both):
    """Two of the parts whose images on ways keep to the same sides in both frameworks, and how many do."""

    def chosen(way_of):
        kept = np.array([both(np.float32(way_of(image, label)))[2].all() for image, label in zip(*parts, strict=True)])
        places = np.flatnonzero(kept)[:2]
        assert len(places) == 2
        return *(of[places] for of in parts), f"parts of photographs, {kept.sum()} of 8 on the same side of all kinks"

    return chosen


@pytest.fixture(scope="session")
def at(network, torch_network):
    """A layer of the network and the images, with their labels and words on them, that it is asked about."""

    def subject(layer, images, labels, words="photographs"):
        return Subject(
            network=network, torch_network=torch_network, images=images, labels=labels, layer=layer, words=words
        )

    return subject
