"""Why runs cannot be fused: which operation, in which line of the user's file, and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from torch import nn

from cpd.engine.steppers.torch_private import users_line


class Refusal(NamedTuple):
    """An operation that ``vmap`` does not take.

    Attributes:
        said: What torch says of it, a pattern; its group stands in ``what``.
        what: The operation, for people.
        instead: What to write.
        rewritten: Whether :mod:`cpd.engine.rewriting` knows how to write it otherwise.
    """

    said: str
    what: str
    instead: str
    rewritten: bool = False


REFUSALS = (
    Refusal(
        r"calling \.item\(\) on a Tensor|Cannot access data pointer|can't call numpy|\.numpy\(\)|\.tolist\(\)",
        "a number is read off a tensor (`.item()`, `float(x)`, `int(x)`, `.numpy()`, `.tolist()`)",
        "tensors all the way, which `torch.where` and `index_select` take; of a `BatchNorm`, a number for its momentum",
    ),
    Refusal(
        r"data-dependent control flow",
        "`if`, `while`, `max` or `assert` depends on a tensor's value",
        "`torch.where(condition, a, b)`, which computes both; `torch.maximum(a, b)`",
    ),
    Refusal(
        r"Batching rule not implemented for aten::(?:lstm|gru|rnn)\w*",
        "a recurrent layer has no rule for several runs",
        "its equations, with `torch.sigmoid` and `torch.tanh`",
        rewritten=True,
    ),
    Refusal(
        r"aten::\w+\.\w*out\b|fallback path doesn't work on out=",
        "an operation writes into `out=`",
        "`t.copy_(f(x))`, or `t = f(x)`",
        rewritten=True,
    ),
    Refusal(
        r"not possible because there exists a Tensor|doesn't match the broadcast shape",
        "a tensor that all runs share is changed in place by what differs from run to run",
        "a new one: `t = t + x`, `torch.stack`, `torch.cat`",
        rewritten=True,
    ),
    Refusal(
        r"accessing `data` under vmap|set_data",
        "`.data` is read or assigned",
        "`x.detach()` to read, `x.copy_(...)` under `torch.no_grad()` to write",
        rewritten=True,
    ),
    Refusal(
        r"requires_grad_\(\)|does not require grad|differentiated Tensors",
        "`requires_grad_()` or `torch.autograd.grad` takes a gradient within the evaluation",
        "`torch.func.grad(f)(x)`, and `torch.func.functional_call` for parameters",
    ),
    Refusal(
        r"nonzero|masked_select|aten::unique|aten::_unique|dynamic(?:ally)? shape|boolean mask",
        "a tensor's shape depends on values (`x[mask]`, `nonzero`, `unique`)",
        "weights in place of a mask, `(p * mask).sum() / mask.sum()`",
    ),
    Refusal(
        r"called random operation|randomness",
        "random numbers are drawn from probabilities that differ from run to run (`bernoulli`, `multinomial`)",
        "`torch.rand_like(p) < p`, or Gumbel noise and `argmax`",
    ),
    Refusal(
        r"storage of BatchedTensor",
        "a tensor of the run is copied with its memory (`copy.deepcopy`, `pickle`)",
        "`x.clone()`, and `torch.func.functional_call` in place of a copied module",
    ),
    Refusal(
        r"autograd\.Function|setup_context|generate_vmap_rule",
        "an `autograd.Function` of one's own has no rule for several runs",
        "`generate_vmap_rule = True` and a `setup_context` in the class",
    ),
    Refusal(
        r"escaped from inside a function being vmapped|gen_vmap_\w*plumbing",
        "a tensor of the run is used outside of its evaluation (a cache, a global, a hook)",
        "what is to be kept in a buffer of the model",
    ),
    Refusal(
        r"(?:Batching rule not implemented for|Trying to vmap over) (aten::[\w.]+)",
        "{} has no rule for several runs",
        "other operations that give the same",
    ),
)
"""From the particular to the general: the first whose pattern is found counts."""


CHECKPOINT = Refusal(
    r"checkpoint",
    "`torch.utils.checkpoint` runs a part of the model again for its gradient",
    "the part itself: `--fuse` bounds memory",
)
"""Told by where torch raises it, not by what it says."""


def refusal_of(error: BaseException) -> Refusal | None:
    """The operation that an exception is about; None where it is about something else."""
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parts[-3:] == ("torch", "utils", "checkpoint.py"):
            return CHECKPOINT
        trace = trace.tb_next
    for each in REFUSALS:
        found = re.search(each.said, str(error))
        if found is not None:
            return each._replace(what=each.what.format(*found.groups()))
    return None


def refused_in_words(error: BaseException, said: str) -> str:
    """One line: the operation, the user's line, and what to write.

    Args:
        error: What calling the user's code for all runs raised.
        said: The first line of what it says: for what is in no table.
    """
    known = refusal_of(error)
    at = _place(error.__traceback__)
    if known is None:
        return f"{said}{at}"
    return f"{known.what}{at}; instead: {known.instead}"


def _place(trace: TracebackType | None) -> str:
    """`` in LSTM at net.py:31``: the last line of the user's own code, and the module of torch's that it calls."""
    at, layer = "", ""
    while trace is not None:
        frame = trace.tb_frame
        line = users_line(frame, trace.tb_lineno)
        module = frame.f_locals.get("self")
        if line is not None:
            at, layer = f" at {line}", ""
        elif isinstance(module, nn.Module) and type(module).__module__.startswith("torch.nn"):
            layer = f" in {type(module).__name__}"
        trace = trace.tb_next
    return f"{layer}{at}"
