"""The other libraries' side: a process of its own that makes the same maps with captum, grad-cam or torchcam."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import captum.attr as captum  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]

from ..images import images_of, squares
from ..memory import watched_memory
from ..rows import CAPTUM, GRAD_CAM, Row, row_of
from ..sizes import called_images
from ..subjects import Subject
from .torch_networks import torch_network_of

Answer = dict[str, Any]
Made = Callable[[Any, Any, int], Any]
_STEPS, _DRAWS = 32, 16


class Theirs:
    """Answers requests about one network.

    Args:
        subject: which one.
        device: MindSpore's name of it, "CPU" or "GPU".
        quick: whether jobs are small ones.
    """

    def __init__(self, subject: Subject, device: str, *, quick: bool) -> None:
        warnings.simplefilter("ignore")  # captum warns that it sets hooks
        self._device = "cuda" if device == "GPU" else "cpu"
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._subject = subject.quick() if quick else subject
        self._network = torch_network_of(subject).to(self._device)
        self._warm = False
        layer = self._network.get_submodule(subject.layer_in_pytorch)
        self._makers = {CAPTUM: partial(_captum, self._subject, layer), GRAD_CAM: partial(_grad_cam, layer)}

    def warm(self, row: str) -> Answer:
        """Make what is made once: a pass of each kind, and the imports of the row's library."""
        if not self._warm:
            self.bare("forward", 16, 0.0)
            self.bare("gradient", 16, 0.0)
            self._warm = True
        self._made(row_of(row))
        return {}

    def direct(self, row: str, batch: int, *, trial: bool) -> Answer:
        """Make the maps of a row, in batches of that size."""
        one = row_of(row)
        images, labels = images_of(self._subject, called_images(one, self._subject, trial=trial))
        given = torch.tensor(images, device=self._device), torch.tensor(labels, device=self._device)
        made = self._made(one)
        with watched_memory() as peak:
            began = time.perf_counter()
            made(*given, batch)
            self._waited()
            seconds = time.perf_counter() - began
        return {"seconds": seconds, "images": len(images), "peak_mib": peak.mib}

    def bare(self, kind: str, batch: int, limit: float) -> Answer:
        """Seconds per image of forward passes, or of gradients, in batches of that size."""
        images = torch.tensor(images_of(self._subject, batch)[0], device=self._device)
        one = partial({"forward": self._forward, "gradient": self._gradient}[kind], images)
        made, began = 0, time.perf_counter()
        while made < 2 or time.perf_counter() - began < limit:
            one()
            made += 1
        self._waited()
        return {"seconds": (time.perf_counter() - began) / made / batch}

    def _forward(self, images: Any) -> None:
        with torch.no_grad():
            self._network(images)

    def _gradient(self, images: Any) -> None:
        asked = images.detach().requires_grad_()
        torch.autograd.grad(self._network(asked)[:, 0].sum(), asked)

    def _waited(self) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()

    def _made(self, row: Row) -> Made:
        if row.library in self._makers:
            return self._makers[row.library](row.method, self._network)
        return _torchcam(self._subject, row.method, self._network)


def _in_chunks(one: Callable[[Any, Any], Any]) -> Made:
    """Made of so many images at a time."""

    def made(images: Any, labels: Any, batch: int) -> None:
        for first in range(0, len(images), batch):
            one(images[first : first + batch], labels[first : first + batch])

    return made


def _one_by_one(one: Callable[[Any, Any, int], Any]) -> Made:
    """Made image by image, each in batches of its own copies."""

    def made(images: Any, labels: Any, batch: int) -> None:
        for row in range(len(images)):
            one(images[row : row + 1], labels[row : row + 1], batch)

    return made


def _captum(subject: Subject, layer: Any, method: str, network: Any) -> Made:
    def said(images: Any) -> Any:
        logits = network(images)
        return logits.sigmoid() if subject.activation == "sigmoid" else logits.softmax(1)

    if method in ("Gradient", "InputXGradient", "GuidedBackprop", "Deconvolution"):
        found = getattr(captum, {"Gradient": "Saliency"}.get(method, method))(network)
        return _in_chunks(lambda images, labels: found.attribute(images.requires_grad_(), target=labels))
    if method == "GuidedGradCAM":
        return _in_chunks(partial(_attributed, captum.GuidedGradCam(network, layer)))
    if method == "GradCAM":
        return _in_chunks(partial(_layer_attributed, captum.LayerGradCam(network, layer), subject))
    if method == "IntegratedGradients":
        return _in_steps(captum.IntegratedGradients(network))
    if method == "NoiseTunnel":
        tunnel = captum.NoiseTunnel(captum.Saliency(network))
        return _one_by_one(partial(_noised, tunnel))
    return _one_by_one(partial(_hidden, method, said, subject))


def _attributed(method: Any, images: Any, labels: Any) -> Any:
    return method.attribute(images.requires_grad_(), target=labels)


def _layer_attributed(method: Any, subject: Subject, images: Any, labels: Any) -> Any:
    found = method.attribute(images, labels, relu_attributions=True)
    return captum.LayerAttribution.interpolate(found, subject.shape[1:], "bilinear")


def _in_steps(method: Any) -> Made:
    return lambda images, labels, batch: [
        method.attribute(images[row : row + 1], 0.0, labels[row : row + 1], n_steps=_STEPS, internal_batch_size=batch)
        for row in range(len(images))
    ]


def _noised(tunnel: Any, image: Any, label: Any, batch: int) -> Any:
    options = {"nt_samples": _DRAWS, "stdevs": 0.1, "nt_samples_batch_size": min(batch, _DRAWS)}
    return tunnel.attribute(image.requires_grad_(), target=label, **options)


def _hidden(method: str, said: Any, subject: Subject, image: Any, label: Any, batch: int) -> Any:
    side = subject.window
    if method == "Occlusion":
        window = {
            "sliding_window_shapes": (image.shape[1], side, side),
            "strides": (image.shape[1], side // 2, side // 2),
        }
        return captum.Occlusion(said).attribute(image, target=label, perturbations_per_eval=batch, **window)
    parts = torch.tensor(squares(image[0].permute(1, 2, 0).cpu().numpy()), device=image.device)
    found = {"LIME": captum.Lime, "KernelSHAP": captum.KernelShap}[method](said)
    options = {"feature_mask": parts, "n_samples": subject.copies, "perturbations_per_eval": batch}
    return found.attribute(image, target=label, **options)


def _grad_cam(layer: Any, method: str, network: Any) -> Made:
    import pytorch_grad_cam  # type: ignore[import-not-found]  # noqa: PLC0415 - needs the operations of torchvision
    from pytorch_grad_cam.utils.model_targets import (  # type: ignore[import-not-found]  # noqa: PLC0415
        ClassifierOutputTarget,
    )

    cam = getattr(pytorch_grad_cam, {"GradCAMpp": "GradCAMPlusPlus"}.get(method, method))(network, [layer])

    def one(images: Any, labels: Any, batch: int = 16) -> Any:
        cam.batch_size = batch
        return cam(images, targets=[ClassifierOutputTarget(label) for label in labels.tolist()])

    return _one_by_one(one) if method in ("ScoreCAM", "AblationCAM") else _in_chunks(one)


def _torchcam(subject: Subject, method: str, network: Any) -> Made:
    import torchcam.methods  # type: ignore[import-not-found]  # noqa: PLC0415 - needs the operations of torchvision

    many = {"SSCAM": {"num_samples": 2}, "ISCAM": {"num_samples": 2}, "SmoothGradCAMpp": {"num_samples": 4}}
    options = {"target_layer": subject.layer_in_pytorch, "input_shape": subject.shape, **many.get(method, {})}
    sized = {"batch_size"} if method in ("ScoreCAM", "SSCAM", "ISCAM") else set()

    def one(images: Any, labels: Any, batch: int = 16) -> Any:
        with getattr(torchcam.methods, method)(network, **options, **dict.fromkeys(sized, batch)) as extract:
            scores = network(images)
            (found,) = extract(labels.tolist(), scores)
        return torch.nn.functional.interpolate(found[:, None], subject.shape[1:], mode="bilinear")

    return _one_by_one(one) if sized else _in_chunks(one)
