"""Where runs cannot be fused one line says which operation, in which line of the user's file, and what to write."""

from pathlib import Path

import pytest
import refused_problems
from model_batches import KEYS, batch_of, farthest, plainly, trained
from plain_loop import FEATURES

from cpd.engine.refusals import CHECKPOINT, REFUSALS

FILE = Path(refused_problems.__file__)
READ = "a number is read off a tensor (`.item()`, `float(x)`, `int(x)`, `.numpy()`, `.tolist()`)"
SAID = {
    "item": READ,
    "numpy": READ,
    "batch_norm": f"{READ} in BatchNorm1d",
    "branch": "`if`, `while`, `max` or `assert` depends on a tensor's value",
    "mask": "a tensor's shape depends on values (`x[mask]`, `nonzero`, `unique`)",
    "own_gradient": "`requires_grad_()` or `torch.autograd.grad` takes a gradient within the evaluation",
    "function": "an `autograd.Function` of one's own has no rule for several runs",
    "drawn": "random numbers are drawn from probabilities that differ from run to run (`bernoulli`, `multinomial`)",
    "recomputed": "`torch.utils.checkpoint` runs a part of the model again for its gradient",
    "shared": "a tensor that all runs share is changed in place by what differs from run to run",
}


def line_of(kind: str) -> int:
    lines = FILE.read_text().splitlines()
    return next(k for k, line in enumerate(lines, start=1) if line.endswith(f"  # {kind}"))


@pytest.mark.parametrize("kind", SAID)
def test_a_line_names_the_operation_its_place_and_what_to_write(kind: str) -> None:
    feature = FEATURES["adam in minibatches"]
    batch = batch_of("Refused", {"kind": kind}, feature, 6, "float64", refused_problems, keys=KEYS[1:])
    found, (note,) = trained(batch)
    start = f"cannot be fused, runs train one at a time: {SAID[kind]} at {FILE.name}:{line_of(kind)}; instead: "
    assert note.startswith(start)
    what = SAID[kind].removesuffix(" in BatchNorm1d")
    assert note[len(start) :] == next(r.instead for r in [*REFUSALS, CHECKPOINT] if r.what == what)
    assert farthest(found, [plainly(batch, key, feature, refused_problems) for key in batch.keys]) < (1e-11, "")
