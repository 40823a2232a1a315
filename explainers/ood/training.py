"""Going through a dataset to train: epochs, steps, callbacks, learning rates, progress.

``mindspore.train.Model`` would do, but refuses a dataset that another Model has trained on, such as the classifier's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.train import Callback, RunContext

from ..core.progress_bar import progress_bar

Loss = Callable[[Tensor, Tensor], Tensor]

LOG_EVERY_SECONDS = 60.0
_log = logging.getLogger("explainrun")


class CallbackArguments(dict[str, Any]):
    """What callbacks are given, as attributes too, as ``mindspore.train.Model`` gives it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"OoDNet's training gives callbacks no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def run_epochs(arguments: CallbackArguments, step: Callable[..., Tensor]) -> None:
    """All epochs and steps, unless a callback asks to stop."""
    context = RunContext(arguments)

    def notify(moment: str) -> bool:
        for callback in arguments.list_callback:
            getattr(callback, f"on_train_{moment}")(context)
        return bool(context.get_stop_requested())

    with ExitStack() as stack:
        for callback in arguments.list_callback:
            stack.enter_context(callback)
        notify("begin")
        batches = arguments.train_dataset.create_tuple_iterator(num_epochs=arguments.epoch_num)
        stopped = False
        while arguments.cur_epoch_num < arguments.epoch_num and not stopped:
            arguments.cur_epoch_num += 1
            notify("epoch_begin")
            for arguments.train_dataset_element in batches:
                arguments.cur_step_num += 1
                notify("step_begin")
                arguments.net_outputs = _finite(step(*arguments.train_dataset_element), arguments.cur_epoch_num)
                if stopped := notify("step_end"):
                    break
            stopped = notify("epoch_end") or stopped
        notify("end")


def _finite(loss: Tensor, epoch: int) -> Tensor:
    if not np.isfinite(loss.asnumpy()).all():
        raise ValueError(f"the loss became {loss} in epoch {epoch}; lower the learning_rate, or look for NaN in images")
    return loss


class SteppedRate(Callback):
    """Sets the learning rate at the start of each epoch; the first one's number is 1."""

    def __init__(self, learning_rate: float, factor: float, every: int) -> None:
        super().__init__()
        self._learning_rate, self._factor, self._every = learning_rate, factor, every

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        arguments = run_context.original_args()
        rate = self._learning_rate * self._factor ** ((arguments.cur_epoch_num - 1) // self._every)
        if not isinstance(arguments.optimizer.learning_rate, ms.Parameter):
            raise TypeError("the scheduler can only step an optimizer that was made with one number as learning rate")
        ops.assign(arguments.optimizer.learning_rate, Tensor(rate, ms.float32))


class TrainingProgress(Callback):
    """A bar in a terminal or notebook, a logged line a minute elsewhere; the last epoch's mean loss in the log."""

    def __init__(self) -> None:
        super().__init__()
        self._losses: list[float] = []
        self._logged = time.monotonic()

    def on_train_begin(self, run_context: RunContext) -> None:
        arguments = run_context.original_args()
        self._bar = progress_bar(arguments.epoch_num * arguments.batch_num, "step")

    def on_train_epoch_begin(self, run_context: RunContext) -> None:
        self._losses = []

    def on_train_step_end(self, run_context: RunContext) -> None:
        arguments = run_context.original_args()
        self._losses.append(float(arguments.net_outputs.asnumpy()))
        self._bar.update()
        self._bar.set_postfix_str(f"epoch {arguments.cur_epoch_num}, loss {self._losses[-1]:.4g}")
        if self._bar.disable and time.monotonic() - self._logged >= LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            _log.info(
                "OoDNet: epoch %d of %d, loss %.4g", arguments.cur_epoch_num, arguments.epoch_num, self._losses[-1]
            )

    def on_train_end(self, run_context: RunContext) -> None:
        epochs = run_context.original_args().cur_epoch_num
        _log.info("OoDNet is trained: the mean loss of epoch %d was %.4g", epochs, np.mean(self._losses))

    def __exit__(self, *error: object) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()


def checked_loss(loss_fn: Any) -> Loss:
    """A loss of logits and labels.

    Raises:
        TypeError: if it cannot be called, or is a class whose brackets were forgotten.
    """
    if isinstance(loss_fn, type) or not callable(loss_fn):
        got = f"the class {loss_fn.__name__}" if isinstance(loss_fn, type) else type(loss_fn).__name__
        raise TypeError(f"loss_fn must be a function of logits and labels, such as nn.BCEWithLogitsLoss(), got {got}")
    checked: Loss = loss_fn
    return checked


def checked_optimizer(optimizer: Any) -> nn.Optimizer:
    """An optimizer.

    Raises:
        TypeError: if it is none of MindSpore's.
    """
    if not isinstance(optimizer, nn.Optimizer):
        raise TypeError(f"optimizer must be a mindspore.nn.Optimizer, got {type(optimizer).__name__}")
    return optimizer


def checked_callbacks(callbacks: Any) -> list[Callback]:
    """None, one callback or several as a list.

    Raises:
        TypeError: if one is not a callback.
    """
    if callbacks is None:
        return []
    found = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks and scheduler must be mindspore.train.Callback, got {type(callback).__name__}")
    return found


def checked_dataset(dataset: Any) -> ds.Dataset:
    """A dataset that gives (images, labels).

    Raises:
        TypeError: if it is not a MindSpore dataset.
        ValueError: if it has other columns, or is empty.
    """
    if not isinstance(dataset, ds.Dataset):
        raise TypeError(f"dataset must be a mindspore.dataset.Dataset, got {type(dataset).__name__}")
    columns = dataset.get_col_names()
    if len(columns) != 2:
        raise ValueError(f"dataset must give (images, labels), its columns are {columns}; see its project(columns)")
    if dataset.get_dataset_size() < 1:
        raise ValueError("dataset gives no batches")
    return dataset
