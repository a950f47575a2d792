"""One problem with many faces, whose solution, cycles and growth are known in closed form: see ``zoo.py``."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

import cpd

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda u: u,
    "sigmoid": torch.sigmoid,
    "square": lambda u: 1 + u * u,
    "tanh": torch.tanh,
}


class Model(nn.Module):
    """A point, as given, moved by a part in a million that the seed decides."""

    def __init__(self, start: Sequence[float]) -> None:
        super().__init__()
        point = torch.tensor(start)
        self.x = nn.Parameter(point + 1e-6 * point.abs() * torch.randn(len(start)))

    def forward(self) -> Tensor:
        return self.x


class Creature(cpd.Problem):
    """f = size (sum a_i (x_i - c_i)^2 + s.x) + offset; each constraint's values are k h(A x).

    Noise of mean zero over the examples moves the centre c and, apart from it, each value.
    """

    def __init__(
        self,
        start: Sequence[float],
        curvature: Sequence[float],
        centre: Sequence[float],
        slope: Sequence[float] | None = None,
        size: float = 1.0,
        offset: float = 0.0,
        rows: dict[str, list[list[float]]] | None = None,
        gain: float = 1.0,
        shape: str = "linear",
        box: Sequence[float] | None = None,
        examples: int = 0,
        noise: Sequence[float] = (0.0, 0.0),
    ) -> None:
        self.start, self.curvature, self.centre = start, curvature, centre
        self.slope = slope or [0.0] * len(start)
        self.size, self.offset, self.gain, self.shape, self.box = size, offset, gain, shape, box
        self.rows = rows or {"g": [[1.0] * len(start)]}
        self.examples, self.noise = examples, noise

    def data(self) -> tuple[Tensor, Tensor] | None:
        if not self.examples:
            return None
        drawn = torch.randn(2, self.examples, generator=torch.Generator().manual_seed(5))
        drawn = (drawn - drawn.mean(1, keepdim=True)) / drawn.std(1, keepdim=True)
        return drawn[0] * self.noise[0], drawn[1] * self.noise[1]

    def model(self) -> nn.Module:
        return Model(self.start)

    def evaluate(self, model: nn.Module, batch: tuple[Tensor, Tensor] | None) -> cpd.Evaluation:
        x = model()
        moved, apart = (0.0, 0.0) if batch is None else (batch[0].mean(), batch[1].mean())
        curvature, centre, slope = (x.new_tensor(v) for v in (self.curvature, self.centre, self.slope))
        objective = (curvature * (x - centre - moved) ** 2).sum() + (slope * x).sum()
        values = {}
        for name, rows in self.rows.items():
            value = self.gain * (SHAPES[self.shape](x.new_tensor(rows) @ x) + apart)
            values[name] = value[0] if len(rows) == 1 else value
        return cpd.Evaluation(objective=self.size * objective + self.offset, constraints=values)

    def project(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.box is None:
            return parameters
        return {n: p.clamp(self.box[0], self.box[1]) for n, p in parameters.items()}
