"""What MindSpore records of a pass to differentiate it, and has it forget when the pass fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mindspore import Tensor
from mindspore._c_expression import PyNativeExecutor_
from mindspore.graph.jit_context import set_jit_context


def records_gradients() -> bool:
    """Whether operators that run now are differentiated; not within ``no_grad`` and cells with a ``bprop``."""
    return bool(PyNativeExecutor_.get_instance().enable_grad())


@contextmanager
def forgetting_errors() -> Iterator[None]:
    """Have MindSpore forget a pass that an error within has ended, whoever raised it.

    Else it keeps recording that pass, on which the next gradient fails, and keeps the precision of the cell that
    raised, so that all later passes are float16 without a word.
    """
    try:
        yield
    except BaseException:
        with suppress(Exception):
            PyNativeExecutor_.get_instance().clear_res()
        set_jit_context(None)  # of a function that was being traced: all operators would continue its graph
        with suppress(Exception):  # MindSpore may raise an error again at the next operation: let it be this one
            (Tensor(0.0) + 1.0).asnumpy()
        raise
