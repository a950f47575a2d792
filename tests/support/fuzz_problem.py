"""The fuzzer's problem: a classifier made of the blocks and traits that its arguments name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from fuzz_blocks import BLOCKS
from fuzz_noise import WIDTH
from fuzz_traits import AFTER, BEFORE, MEASURES, At
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import cpd


class Net(nn.Module):
    """Blocks between a first layer and a head."""

    def __init__(self, blocks: Sequence[str]) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.blocks = nn.ModuleList([BLOCKS[name]() for name in blocks])
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.head(torch.tanh(x))  # type: ignore[no-any-return]


class Fuzz(cpd.Problem):
    """The problem.

    Args:
        blocks: Of the model, by name.
        traits: Of the evaluation, by name.
        constraints: By name.
        examples: How many there are.
        data: ``tuple``, ``dataset``, ``global`` (drawn from the process's generator) or ``none`` (kept on ``self``).
    """

    def __init__(
        self,
        blocks: Sequence[str] = (),
        traits: Sequence[str] = (),
        constraints: Sequence[str] = ("rate",),
        examples: int = 24,
        data: str = "tuple",
    ) -> None:
        self.blocks, self.traits, self.constraints = list(blocks), list(traits), list(constraints)
        self.examples, self.kind = examples, data
        g = torch.Generator().manual_seed(3)
        self.table = torch.randn(3, WIDTH, generator=g)
        x = torch.randn(examples, WIDTH, generator=g)
        self.kept = (x, (x[:, 0] + 0.3 * torch.randn(examples, generator=g) > 0).float(), torch.arange(examples) % 3)

    def data(self) -> Any:
        if self.kind == "none":
            return None
        if self.kind == "global":
            x = torch.randn(self.examples, WIDTH)
            return x, (x[:, 0] > 0).float(), torch.randint(0, 3, (self.examples,))
        tensors = tuple(t.clone() for t in self.kept)
        return torch.utils.data.TensorDataset(*tensors) if self.kind == "dataset" else tensors

    def model(self) -> nn.Module:
        model = Net(self.blocks)
        if "start" in self.traits:
            self.begun = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
        return model

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        x, y, group = self.kept if batch is None else batch
        dtype = next(model.parameters()).dtype
        at = At(self, model, x.to(dtype), y.to(dtype), group)
        for name in self.traits:
            BEFORE.get(name, _nothing)(at)
        at.z = model(at.x).squeeze(-1)
        for name in self.traits:
            AFTER.get(name, _nothing)(at)
        loss = (F.binary_cross_entropy_with_logits(at.z, at.y, reduction="none") * at.weight).mean()
        for block in model.modules():
            if hasattr(block, "penalty"):
                at.extra = at.extra + 0.02 * block.penalty()  # type: ignore[operator]
        values = {name: MEASURES[name](at) for name in self.constraints}
        return cpd.Evaluation(
            objective=loss * at.scale + at.extra,
            constraints={name: surrogate for name, (surrogate, _) in values.items()},
            strict={name: strict for name, (_, strict) in values.items() if strict is not None},
        )

    def measure(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        sums = {f"sum of {name}": t.detach().double().abs().sum() for name, t in tensors.items()}
        counts = {f"{n} of self": torch.tensor(float(v)) for n, v in vars(self).items() if n in COUNTS}
        return dataclasses.replace(self.evaluate(model, batch), metrics={**sums, **counts})


class Boxed(Fuzz):
    """The same with parameters kept in a box."""

    def project(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: p.clamp(-0.4, 0.4) for name, p in parameters.items()}


class Defaulted(Fuzz):
    """The same, judged by its evaluation."""

    measure = cpd.Problem.measure


COUNTS = ("calls", "turns", "late", "rare")


def _nothing(at: At) -> None:
    """A trait of the other time."""
