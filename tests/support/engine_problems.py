"""Small problems that the engine's tests train, in the form a user writes them."""

import torch

import cpd


class Quadratic(cpd.Problem):
    """min ||x - centre||^2 with a vector inequality x >= floor and an equality on the sum; exact solution known."""

    def __init__(self, size: int = 3, noise: float = 0.0) -> None:
        self.size = size
        self.noise = noise

    def model(self) -> torch.nn.Module:
        """Return a random point."""
        return torch.nn.Linear(self.size, 1, bias=False)

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate with noise of the seed, if any."""
        x = next(iter(model.parameters()))[0]
        shaken = x + self.noise * torch.randn(self.size, dtype=x.dtype) if self.noise else x
        return cpd.Evaluation(
            objective=((shaken - 1.0) ** 2).sum(),
            constraints={"each": x, "total": x.sum()},
            strict={"total": x.sum().round(decimals=2)},
            metrics={"first": x[0]},
        )


class Coins(Quadratic):
    """The same with coins that have probabilities of their own: what is drawn depends on values."""

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate, sometimes with a larger objective."""
        at = super().evaluate(model, batch)
        heads = torch.bernoulli(torch.linspace(0.2, 0.8, 3)).sum()
        return cpd.Evaluation(at.objective * (1 + heads), at.constraints, at.strict, at.metrics)


class Boxed(Quadratic):
    """The same with parameters kept in [-0.25, 0.25]."""

    def project(self, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Clamp every parameter."""
        return {name: p.clamp(-0.25, 0.25) for name, p in parameters.items()}


class Classifier(cpd.Problem):
    """Minibatches, dropout and Adam: everything that draws random numbers."""

    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return 50 random examples, which 16 does not divide."""
        g = torch.Generator().manual_seed(7)
        x = torch.randn(50, 4, generator=g)
        return x, (x[:, 0] > 0).long()

    def model(self) -> torch.nn.Module:
        """Return a small network with dropout."""
        return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Dropout(0.3), torch.nn.Linear(8, 2))

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Evaluate the loss and the predicted rate of class 1."""
        logits = model(batch[0])
        return cpd.Evaluation(
            objective=torch.nn.functional.cross_entropy(logits, batch[1]),
            constraints={"rate": logits.softmax(-1)[:, 1].mean()},
            strict={"rate": (logits.argmax(-1) == 1).to(logits.dtype).mean()},
        )


class Peeking(Classifier):
    """The same with a weight that Python reads off each minibatch: no program can be captured of it."""

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Evaluate the weighted loss."""
        at = super().evaluate(model, batch)
        return cpd.Evaluation(at.objective * (1 + batch[0].max().item()), at.constraints, at.strict)


class Normed(cpd.Problem):
    """A small network with BatchNorm, and a buffer that an evaluation assigns anew, on minibatches."""

    def data(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return 50 random examples, which 16 does not divide."""
        g = torch.Generator().manual_seed(7)
        x = torch.randn(50, 4, generator=g) * 3 + 1
        return x, (x[:, 0] > 1).long()

    def model(self) -> torch.nn.Module:
        """Return the network."""
        layers = [torch.nn.Linear(4, 6, bias=False), torch.nn.BatchNorm1d(6), torch.nn.Tanh(), torch.nn.Linear(6, 2)]
        model = torch.nn.Sequential(*layers)
        model.register_buffer("smoothed", torch.zeros(()))
        model.register_buffer("table", torch.arange(3.0))
        return model

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> cpd.Evaluation:
        """Evaluate the loss and the predicted rate of class 1."""
        logits = model(batch[0])
        loss = torch.nn.functional.cross_entropy(logits, batch[1])
        smoothed = model.get_buffer("smoothed")
        if model.training:
            smoothed = model.smoothed = 0.9 * smoothed + 0.1 * loss.detach()
        return cpd.Evaluation(
            objective=loss,
            constraints={"rate": logits.softmax(-1)[:, 1].mean()},
            strict={"rate": (logits.argmax(-1) == 1).to(logits.dtype).mean()},
            metrics={"smoothed": smoothed},
        )


class Line(cpd.Problem):
    """(x - 2)^2 with the value x: penalised with c it ends at 2 - c/2, from -1."""

    def model(self) -> torch.nn.Module:
        """Return the number -1."""
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(model.weight, -1.0)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate at x."""
        x = next(iter(model.parameters())).sum()
        return cpd.Evaluation(objective=(x - 2) ** 2, constraints={"size": x}, metrics={"x": x})


class Branching(cpd.Problem):
    """Data-dependent control flow, which vmap refuses; raises for a run that goes far."""

    def __init__(self, limit: float = 1e9) -> None:
        self.limit = limit

    def model(self) -> torch.nn.Module:
        """Return a random number."""
        return torch.nn.Linear(1, 1, bias=False)

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate one of two branches."""
        x = next(iter(model.parameters())).sum()
        if x.item() > self.limit:
            raise ValueError(f"x is {x.item():.1f}, over the limit")
        objective = (x - 2) ** 2 if x.item() > 0 else (x - 2) ** 2 + 0.0
        return cpd.Evaluation(objective=objective, constraints={"size": x})


class Fails(cpd.Problem):
    """Breaks in one way or another."""

    def __init__(self, how: str) -> None:
        self.how = how

    def data(self) -> object:
        """Break in the data."""
        if self.how == "data":
            raise OSError("disk is gone")
        if self.how == "list":
            return torch.zeros(2), "two"
        if self.how == "lengths":
            return torch.zeros(3), torch.zeros(4)
        return None

    def model(self) -> torch.nn.Module:
        """Break in the model, for odd seeds only where ``how`` says so."""
        if self.how == "odd seeds" and torch.initial_seed() % 2:
            raise RuntimeError("no model for odd seeds")
        if self.how == "no model":
            raise RuntimeError("no model")
        if self.how == "no module":
            return 3  # type: ignore[return-value]
        if self.how == "memory":
            raise MemoryError("too large")
        return torch.nn.Linear(1, 1)

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Break in the evaluation."""
        x = model(torch.ones(1)).sum()
        values = {"g": x}
        match self.how:
            case "raise":
                raise KeyError("weights")
            case "tensor":
                return x  # type: ignore[no-any-return]
            case "other name":
                values = {"h": x}
            case "more":
                values = {"g": x, "h": x}
            case "shape":
                values = {"g": torch.stack([x, x]).view(1, 2)}
            case "strict shape":
                return cpd.Evaluation(x, values, strict={"g": torch.stack([x, x])})
            case "strict name":
                return cpd.Evaluation(x, values, strict={"h": x})
            case "objective":
                return cpd.Evaluation(torch.stack([x, x]), values)
            case "metric":
                return cpd.Evaluation(x, values, metrics={"m": torch.stack([x, x])})
        return cpd.Evaluation((x - 1) ** 2, values)

    def measure(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Break in the measure, or only where it is mapped over runs."""
        if self.how == "measure":
            raise ZeroDivisionError("no examples")
        at = self.evaluate(model, batch)
        if self.how == "measure item":
            return cpd.Evaluation(at.objective, at.constraints, metrics={"m": torch.tensor(at.objective.item())})
        return at


class Alias(cpd.Problem):
    """min (x - 2)^2 with x <= 1 beside x, x + 1, ...: at step-size 0.5 and dual_lr 6, x is 2, -1, 2, -1 for ever."""

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def model(self) -> torch.nn.Module:
        """Return a number."""
        return torch.nn.Linear(1, 1, bias=False)

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate x, and a vector whose components are larger by whole numbers."""
        x = next(iter(model.parameters())).sum()
        shifts = torch.arange(self.size, dtype=x.dtype)
        return cpd.Evaluation(objective=(x - 2) ** 2, constraints={"x": x, "all": x + shifts})


class Fitting(cpd.Problem):
    """Fit a curve with a small network; its mean answer is constrained."""

    def data(self) -> tuple[torch.Tensor, ...]:
        """Return 50 points: in minibatches of 16, an epoch's last one has 2."""
        x = torch.linspace(-1, 1, 50, dtype=torch.float64).unsqueeze(1)
        return x, (3 * x).sin()

    def model(self) -> torch.nn.Module:
        """Return the network."""
        return torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))

    def evaluate(self, model: torch.nn.Module, batch: tuple[torch.Tensor, ...]) -> cpd.Evaluation:
        """Evaluate."""
        x, y = batch
        out = model(x)
        return cpd.Evaluation(((out - y) ** 2).mean(), {"near": out.square().mean()})


class Shaken(Fitting):
    """The same with BatchNorm, whose statistics each minibatch moves, and with dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        self.dropout = dropout

    def model(self) -> torch.nn.Module:
        """Return the network."""
        between = (torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Dropout(self.dropout))
        return torch.nn.Sequential(torch.nn.Linear(1, 8), *between, torch.nn.Linear(8, 1))


class Falling(cpd.Problem):
    """A slope of exactly 1 in every parameter, so that each step shows its step-size to the last bit."""

    def model(self) -> torch.nn.Module:
        """Return two numbers, a weight and a bias, at 0."""
        model = torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate."""
        weight, bias = (p.sum() for p in model.parameters())
        return cpd.Evaluation(weight + bias, {"weight": weight.detach(), "bias": bias})


class Cliff(cpd.Problem):
    """The objective -x with the value x, from -1; beyond 1 nothing is a number. Penalised with c < 1 it goes there."""

    def model(self) -> torch.nn.Module:
        """Return the number -1."""
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(model.weight, -1.0)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate at x."""
        x = next(iter(model.parameters())).sum()
        return cpd.Evaluation(objective=-x + 0 * torch.sqrt(1 - x), constraints={"size": x}, metrics={"x": x})


class Counting(Line):
    """The same, counting its evaluations in Python, which no program can replay."""

    def __init__(self) -> None:
        self.calls = 0

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate, and count."""
        self.calls += 1
        at = super().evaluate(model, batch)
        scale = 1 + 0.01 * (self.calls % 3)
        calls = torch.tensor(float(self.calls))
        return cpd.Evaluation(at.objective * scale, at.constraints, metrics={"calls": calls})


class Touchy(Line):
    """The same, whose measure raises beyond an edge."""

    def __init__(self, edge: float) -> None:
        self.edge = edge

    def measure(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Measure, or raise."""
        if float(next(iter(model.parameters())).sum()) > self.edge:
            raise ValueError("x is over the edge")
        return self.evaluate(model, batch)


class Game(cpd.Problem):
    """``min x`` where ``x == 0``, from x = 1: gradient descent-ascent goes round and round outwards."""

    def model(self) -> torch.nn.Module:
        """Return x."""
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        return model

    def evaluate(self, model: torch.nn.Module, batch: None) -> cpd.Evaluation:
        """Evaluate both."""
        x = next(iter(model.parameters())).sum()
        return cpd.Evaluation(objective=x, constraints={"x": x})
