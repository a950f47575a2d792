"""Minibatches of two players: the model learns on one part of the examples, the multipliers move on another.

Source: Cotter et al., "Training Well-Generalizing Classifiers for Fairness Metrics and Other Data-Dependent
Constraints" (2019): multipliers that fit what the model has not seen do not let it fit the constraints to its own data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cpd.engine.minibatches import Minibatches
from cpd.engine.paired import APART, COUNTS, Paired
from cpd.engine.players import Players
from cpd.engine.streams import minibatches


class TwoPlayers(Minibatches):
    """Minibatches of two parts, a :class:`Players` each; where an epoch of one ends the other goes on.

    Args:
        model: Those of the model.
        multipliers: Those of the multipliers.
    """

    def __init__(self, model: Minibatches, multipliers: Minibatches) -> None:
        self.model, self.multipliers = model, multipliers
        self.data = Players(model.data, multipliers.data)
        self.batch_size = model.batch_size or multipliers.batch_size
        self.seed = model.seed
        self.streamed = model.streamed or multipliers.streamed

    @classmethod
    def of(
        cls, model: Minibatches, held: Any, second: Any, sizes: tuple[int | None, int | None], seed: int
    ) -> TwoPlayers:
        """Beside a model's minibatches those of held-out examples, in an order of their own.

        Args:
            model: The model's.
            held: Examples of the multipliers.
            second: Those of the constraints alone, where there are such.
            sizes: Examples in a minibatch of either.
            seed: Of the run.
        """
        own = minibatches(held, sizes[0], seed + 2 * APART)
        return cls(model, own if second is None else Paired.of(own, second, sizes[1], seed + 2 * APART))

    @property
    def in_program(self) -> bool:
        """Only where both are whole: a compiled program picks examples of one data set."""
        return self.batch_size is None and self.model.in_program and self.multipliers.in_program

    def next(self) -> Players:
        """The next batch."""
        return Players(self.model.next(), self.multipliers.next())

    def peek(self) -> Players:
        """The next batch, without moving on."""
        return Players(self.model.peek(), self.multipliers.peek())

    def last(self) -> Players:
        """The last batch of the epoch of each."""
        return Players(self.model.last(), self.multipliers.last())

    def copy_of(self, batch: Any) -> Any:
        """A batch for one evaluation more: of both, or of those that models are judged on."""
        if not isinstance(batch, Players):
            return self.model.copy_of(batch)
        return Players(self.model.copy_of(batch.model), self.multipliers.copy_of(batch.multipliers))

    def put_back(self) -> None:
        """Give back the batch that was peeked at and taken since."""
        self.model.put_back()
        self.multipliers.put_back()

    @property
    def ended(self) -> bool:
        """Whether the last minibatch of the model that was taken ends its epoch."""
        return self.model.ended

    @property
    def in_epoch(self) -> int:
        """Steps in an epoch of the model."""
        return self.model.in_epoch

    @property
    def usual_size(self) -> int | None:
        """Examples in a minibatch of the one that is cut into some."""
        return self.model.usual_size or self.multipliers.usual_size

    @property
    def next_size(self) -> int | None:
        """Likewise in the next one."""
        return self.model.next_size or self.multipliers.next_size

    def judged(self, most: int | None = None) -> Iterator[tuple[int, Any]]:
        """As of the model."""
        return self.model.judged(most)

    def sample(self, size: int | None = None) -> Players:
        """A fixed batch, taken without moving on."""
        return Players(self.model.sample(size), self.multipliers.sample(size))

    @property
    def each(self) -> Minibatches:
        """The model's, one by one."""
        return self.model.each

    def state(self) -> tuple[Tensor, int]:
        """What :meth:`restore` needs: of both."""
        (a, taken), (b, taken_second) = self.model.state(), self.multipliers.state()
        return torch.cat([a.reshape(-1), b.reshape(-1)]), taken * COUNTS**2 + taken_second

    def restore(self, epoch_start: Tensor, taken: int) -> None:
        """Go on where :meth:`state` was taken."""
        first, second = divmod(taken, COUNTS**2)
        shapes = [part.state()[0].shape for part in (self.model, self.multipliers)]
        own = epoch_start.split([shape.numel() for shape in shapes])
        a, b = (part.reshape(shape).clone() for part, shape in zip(own, shapes, strict=True))
        self.model.restore(a, first)  # a generator reads memory from its start
        self.multipliers.restore(b, second)

    def begin(self) -> None:
        """Let streams be read ahead."""
        self.model.begin()
        self.multipliers.begin()

    def close(self) -> None:
        """Give back what reads ahead."""
        self.model.close()
        self.multipliers.close()
