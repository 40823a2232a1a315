"""Is an image like those that a classifier was trained on? The detector by which RISEPlus weighs masked images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
from mindspore import Tensor, nn, ops
from mindspore.train import Callback

from ..network import evaluating, keeping_flags
from ..network.backward.recorder import forgetting_errors
from ..network.outputs import only_part
from ..network.tensors import checked_network, input_type, require_pynative, set_up_processor
from .checkpoints import read_checkpoint
from .training import (
    CallbackArguments,
    Loss,
    SteppedRate,
    TrainingProgress,
    checked_callbacks,
    checked_dataset,
    checked_loss,
    checked_optimizer,
    run_epochs,
)

_HEAD = "ood_head"
_SMALLEST_SQUARE = 1e-12  # of a length that is divided by; features behind a ReLU may all be 0


class OoDNet(nn.Cell):
    """A classifier with a head that distinguishes images like its training images from others.

    Qiu et al., Resisting Out-of-Distribution Data Problem in Perturbation of XAI (2021), arXiv 2107.14000, with the
    head of Hsu et al., Generalized ODIN (2020): of the classifier's features f, h_i is the cosine of the angle between
    f and a weight w_i for each class, and g = sigmoid(batch_norm(dense(f))) one number per image. Training takes the
    logits h / g. Afterwards ``ood_net(images)`` gives h, (N, num_classes), in -1..1; an image's inlier score is its
    largest h_i.

    The classifier is left as it is found: parameters and their names, batch norm statistics, flags and hooks; all but
    what ``train_underlying`` asks for. It always runs in inference mode, except while it is trained itself, so
    ``set_train`` switches the head alone.

    Args:
        underlying: the classifier, with two attributes: ``num_features``, an int, and ``output_features``, a bool.
            While that is True it must return features (N, num_features) for images (N, C, H, W), perhaps among other
            things of which none has that shape, else logits.
        num_classes: at least 1.
        seed: the head's first weights depend on it and on nothing else.

    Raises:
        TypeError: if an argument or attribute is of another type.
        AttributeError: if the classifier lacks one of the two attributes.
        ValueError: if a number is out of range.
    """

    def __init__(self, underlying: nn.Cell, num_classes: int, *, seed: int = 0) -> None:
        super().__init__(auto_prefix=False)  # a prefix would rename the classifier's parameters
        set_up_processor()
        self.underlying = _checked_underlying(underlying)
        self.num_classes = _checked_count("num_classes", num_classes)
        self.num_features = int(underlying.num_features)
        head = _Head(self.num_features, self.num_classes, _checked_count("seed", seed, least=0))
        head.update_parameters_name(f"{_HEAD}.")
        self.ood_head = head
        self._trains_underlying = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        require_pynative("an OoDNet")
        return super().__call__(*args, **kwargs)

    def construct(self, images: Tensor) -> Tensor:
        """Scores h (N, num_classes) of images (N, C, H, W); in training mode the logits h / g.

        Raises:
            TypeError: if the images are not a Tensor.
            ValueError: if the classifier's features are not (N, num_features), or in graph mode.
        """
        return self.ood_head(self._features(images))

    def set_train(self, mode: bool = True) -> OoDNet:
        """Switch the head, and not the classifier, to training (logits h / g) or inference (scores h)."""
        self.ood_head.set_train(mode)
        self.add_flags(training=mode)
        return self

    def get_train_parameters(self, train_underlying: bool = False) -> list[ms.Parameter]:
        """What training changes: all of the head, and the trainable parameters of the classifier if asked for."""
        underlying = self.underlying.trainable_params() if train_underlying else []
        return [*self.ood_head.trainable_params(), *underlying]

    def prepare_train(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        lr_base_factor: float = 0.1,
        lr_epoch_denom: int = 30,
        train_underlying: bool = False,
    ) -> tuple[nn.Optimizer, Callback]:
        """The optimizer that ``train`` takes by default, and the callback that steps its learning rate.

        Args:
            learning_rate: of the first epochs, above 0.
            momentum: 0 or more.
            weight_decay: 0 or more.
            lr_base_factor: above 0; in epoch e, counted from 0, the learning rate is
                learning_rate * lr_base_factor ** (e // lr_epoch_denom).
            lr_epoch_denom: at least 1.
            train_underlying: train the classifier too.

        Returns:
            Gradient descent with momentum, and a callback for ``train`` or ``mindspore.train.Model``.

        Raises:
            TypeError: if a number is of another type.
            ValueError: if one is out of range.
        """
        rate = _checked_rate("learning_rate", learning_rate)
        factor = _checked_rate("lr_base_factor", lr_base_factor)
        every = _checked_count("lr_epoch_denom", lr_epoch_denom)
        parameters = self.get_train_parameters(train_underlying)
        optimizer = nn.Momentum(parameters, rate, momentum=float(momentum), weight_decay=float(weight_decay))
        return optimizer, SteppedRate(rate, factor, every)

    def train(
        self,
        dataset: ds.Dataset,
        loss_fn: Loss | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        epoch: int = 90,
        optimizer: nn.Optimizer | None = None,
        scheduler: Callback | None = None,
        **kwargs: Any,
    ) -> None:
        """Train the head on a frozen classifier, or with ``train_underlying=True`` both; inference mode afterwards.

        The classifier is trained, with its batch norm, if the optimizer holds parameters of it. It returns to its own
        modes afterwards, also if something raises.

        Args:
            dataset: gives batches (images, labels); labels are class indices (N,), or one-hot or multi-hot
                (N, num_classes).
            loss_fn: of logits and labels, one per sample or one number;
                ``nn.SoftmaxCrossEntropyWithLogits()`` by default, ``nn.BCEWithLogitsLoss()`` fits multi-hot labels.
            callbacks: one or a list, called as ``mindspore.train.Model`` calls them.
            epoch: how many times to go through the dataset, at least 1.
            optimizer: of parameters of this network; ``prepare_train`` makes one by default.
            scheduler: called before the other callbacks; by default ``prepare_train``'s, if the optimizer is its too.
            **kwargs: for ``prepare_train``.

        Raises:
            TypeError: if an argument is of another type, or there are kwargs beside an optimizer.
            ValueError: in graph mode, if the batches are of other shapes, there are none, the optimizer holds other
                parameters, or the loss is not finite.
        """
        require_pynative("an OoDNet")
        loss_fn = nn.SoftmaxCrossEntropyWithLogits() if loss_fn is None else checked_loss(loss_fn)
        if optimizer is None:
            optimizer, stepping = self.prepare_train(**kwargs)
            scheduler = stepping if scheduler is None else scheduler
        elif kwargs:
            raise TypeError(f"{', '.join(kwargs)} would make an optimizer, and one is given; leave out either")
        arguments = CallbackArguments(
            train_network=self, network=self, loss_fn=loss_fn, optimizer=optimizer, mode="train",
            epoch_num=_checked_count("epoch", epoch), cur_epoch_num=0, cur_step_num=0, dataset_sink_mode=False,
            train_dataset=checked_dataset(dataset), batch_num=dataset.get_dataset_size(),
        )  # fmt: skip
        arguments.list_callback = [*checked_callbacks(scheduler), *checked_callbacks(callbacks), TrainingProgress()]
        with self._training(optimizer):
            run_epochs(arguments, lambda images, labels: self._step(images, labels, loss_fn, optimizer))

    @property
    def trained(self) -> bool:
        """Whether its head was trained or loaded: the batch norm of a new one has seen nothing."""
        return bool(self.ood_head.norm.moving_mean.asnumpy().any())

    def save_head(self, path: str | Path) -> None:
        """Write the head alone, a few kilobytes; ``mindspore.save_checkpoint(ood_net, path)`` writes all."""
        head = self.ood_head.parameters_and_names()
        ms.save_checkpoint([{"name": f"{_HEAD}.{name}", "data": values} for name, values in head], str(path))

    def load_head(self, path: str | Path) -> None:
        """Read the head from a checkpoint that ``save_head`` or ``mindspore.save_checkpoint`` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a checkpoint, holds no head, one of other features or classes, or beside the head a
                classifier with other weights.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path}")
        stored = read_checkpoint(path)
        own = {f"{_HEAD}.{name}": values for name, values in self.ood_head.parameters_and_names()}
        if lacking := sorted(set(own) - set(stored)):
            raise ValueError(f"{path} holds no head of an OoDNet, it lacks {', '.join(lacking)}")
        for name, values in own.items():
            if stored[name].shape != values.shape:
                raise ValueError(
                    f"{path} holds a head of another size: {name} is {stored[name].shape}, an OoDNet of "
                    f"{self.num_classes} classes on {self.num_features} features takes {values.shape}"
                )
        other = [
            name
            for name, values in self.underlying.parameters_dict().items()
            if name in stored and not np.array_equal(stored[name].asnumpy(), values.asnumpy())
        ]
        if other:
            raise ValueError(
                f"{path} holds a head of a classifier with other weights ({other[0]} differs); load them all with "
                f"mindspore.load_param_into_net, or a head that fits this classifier"
            )
        for name, values in own.items():
            values.set_data(Tensor(stored[name].asnumpy()))

    def _features(self, images: Tensor) -> Tensor:
        if not isinstance(images, Tensor):
            raise TypeError(f"images must be a mindspore.Tensor (N, C, H, W), got {type(images).__name__}")
        found = self.underlying.output_features
        with nullcontext() if self._trains_underlying else evaluating(self.underlying):
            try:
                self.underlying.output_features = True
                features = self.underlying(images.astype(input_type(self.underlying)))
            finally:
                self.underlying.output_features = found
        wanted = (images.shape[0], self.num_features)
        return _checked_features(only_part(features, wanted), wanted, self.underlying).astype(ms.float32)

    @contextmanager
    def _training(self, optimizer: nn.Optimizer) -> Iterator[None]:
        """The head trains within, and the classifier too if the optimizer holds parameters of it."""
        underlying = {id(parameter) for parameter in self.underlying.get_parameters()}
        known = underlying | {id(parameter) for parameter in self.ood_head.get_parameters()}
        optimized = {id(parameter) for parameter in checked_optimizer(optimizer).parameters}
        if optimized - known:
            raise ValueError("the optimizer holds parameters that are not of this OoDNet; see get_train_parameters()")
        with keeping_flags(self.underlying):
            try:
                self._trains_underlying = bool(optimized & underlying)
                if self._trains_underlying:
                    self.underlying.set_train(True)
                self.set_train(True)
                yield
            finally:
                self._trains_underlying = False
                self.set_train(False)

    @forgetting_errors()
    def _step(self, images: Tensor, labels: Tensor, loss_fn: Loss, optimizer: nn.Optimizer) -> Tensor:
        """One update; a frozen classifier runs outside of what is differentiated."""
        labels = _checked_labels(labels, (images.shape[0], self.num_classes))
        through = self.construct if self._trains_underlying else self.ood_head

        def loss_of(batch: Tensor) -> Tensor:
            return loss_fn(through(batch), labels).mean()

        batch = images if self._trains_underlying else self._features(images)
        loss, gradients = ms.value_and_grad(loss_of, None, optimizer.parameters)(batch)
        optimizer(gradients)
        return loss


class _Head(nn.Cell):
    """Features (N, F) to h (N, classes), in training mode to h / g."""

    def __init__(self, num_features: int, num_classes: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)  # MindSpore's own initializers would draw from the user's generator
        self.classes = _Cosine(rng.normal(0.0, np.sqrt(2.0 / num_features), (num_classes, num_features)))
        bound = 1.0 / np.sqrt(num_features)
        weight = Tensor(rng.uniform(-bound, bound, (1, num_features)).astype(np.float32))
        self.scale = nn.Dense(num_features, 1, weight_init=weight, bias_init=Tensor(np.zeros(1, np.float32)))
        self.norm = nn.BatchNorm1d(1)

    def construct(self, features: Tensor) -> Tensor:
        scores = self.classes(features)
        return scores / ops.sigmoid(self.norm(self.scale(features))) if self.training else scores


class _Cosine(nn.Cell):
    """Cosine of the angle between each row of features and each row of weights (classes, F)."""

    def __init__(self, weight: npt.NDArray[np.float64]) -> None:
        super().__init__()
        self.weight = ms.Parameter(Tensor(weight.astype(np.float32)))

    def construct(self, features: Tensor) -> Tensor:
        return ops.matmul(_of_length_1(features.astype(ms.float32)), _of_length_1(self.weight).T)


def _of_length_1(rows: Tensor) -> Tensor:
    return rows / ops.sqrt(ops.maximum((rows * rows).sum(axis=1, keepdims=True), _SMALLEST_SQUARE))


def _checked_underlying(underlying: Any) -> nn.Cell:
    name = type(checked_network(underlying)).__name__
    for attribute in ("num_features", "output_features"):
        if not hasattr(underlying, attribute):
            raise AttributeError(
                f"{name} has no attribute {attribute!r}; set self.num_features = F (an int) and self.output_features = "
                "False in its __init__, and let construct return features (N, F) while output_features is True"
            )
    _checked_count(f"{name}.num_features", underlying.num_features)
    if not isinstance(underlying.output_features, bool):
        kind = type(underlying.output_features).__name__
        raise TypeError(f"{name}.output_features must be True or False, got {kind}")
    return underlying


def _checked_count(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an int, got {type(value).__name__} {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def _checked_rate(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__} {value!r}")
    if not 0.0 < value < np.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {value}")
    return float(value)


def _checked_labels(labels: Tensor, wanted: tuple[int, int]) -> Tensor:
    """Labels as rows of 0 and 1 for each class, which they are or whose places they name."""
    if labels.shape == wanted:
        return labels.astype(ms.float32)
    samples, classes = wanted
    indices = labels.asnumpy()
    if indices.shape not in ((samples,), (samples, 1)) or indices.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be class indices (N,), here {(samples,)}, or one-hot or multi-hot batches (N, num_classes), "
            f"here {wanted}, the dataset gives {tuple(labels.shape)} of {indices.dtype}; batch it"
        )
    if indices.size and not 0 <= indices.min() <= indices.max() < classes:
        wrong = indices[(indices < 0) | (indices >= classes)].flat[0]
        raise ValueError(f"labels must be class indices 0..{classes - 1}, the dataset gives {wrong}")
    return Tensor(np.eye(classes, dtype=np.float32)[indices.reshape(-1)])


def _checked_features(features: Any, wanted: tuple[int, int], underlying: nn.Cell) -> Tensor:
    if not isinstance(features, Tensor) or features.shape != wanted:
        got = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(
            f"with output_features True, {type(underlying).__name__} must return features (N, num_features), here "
            f"{wanted}, it returned {got}"
        )
    return features
