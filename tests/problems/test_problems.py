"""The bundled problems, at points whose values are known by hand."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

import cpd
from cpd.errors import CpdError
from cpd.problem import Values
from cpd.problems.concave import Concave
from cpd.problems.fairness import Fairness
from cpd.problems.hard_concrete import (
    HardConcreteLinear,
    density,
    median_gates,
    open_probability,
    quantile_gates,
    sampled_gates,
)
from cpd.problems.rate import Rate
from cpd.problems.recall import Recall
from cpd.problems.sparsity import Sparsity


def scalars(values: Values) -> dict[str, float]:
    return {name: value.item() for name, value in values.items()}


class Bound(torch.nn.Module):
    """A problem's objective and constraint values as one module's output."""

    def __init__(self, problem: cpd.Problem, model: torch.nn.Module) -> None:
        super().__init__()
        self.problem, self.model = problem, model

    def forward(self, batch: Any, method: str = "evaluate") -> dict[str, Tensor]:
        result = getattr(self.problem, method)(self.model, batch)
        values = {"objective": result.objective, **result.constraints, **result.metrics}
        return {name: getattr(value, "value", value) for name, value in values.items()}


# Example 1


@pytest.mark.parametrize(
    ("start", "angle"), [((0.3, 2.0), 0.3), ((-1.0, 0.5), 1e-3), ((9.0, 0.5), math.pi / 2 - 1e-3), ((0.5, 0.0), 0.5)]
)
def test_concave_has_the_printed_values(start: tuple[float, float], angle: float) -> None:
    problem = Concave(start=list(start))  # type: ignore[arg-type]  # as YAML gives it
    assert problem.data() is None
    result = problem.evaluate(problem.model().double(), None)
    radius = 1 + start[1] ** 2
    assert result.objective.item() == pytest.approx(math.cos(angle) * radius, rel=1e-6)
    assert scalars(result.constraints) == {"g": pytest.approx(math.sin(angle) * radius, rel=1e-6)}
    assert scalars(result.metrics) == {"x": pytest.approx(start[0]), "y": pytest.approx(start[1])}


def test_concave_starts_at_one_half_with_known_gradients() -> None:
    model = Concave().model().double()
    result = Concave().evaluate(model, None)
    f = torch.autograd.grad(result.objective, [model.x, model.y], retain_graph=True)
    g = torch.autograd.grad(result.constraints["g"], [model.x, model.y])
    sine, cosine = math.sin(0.5), math.cos(0.5)
    assert [v.item() for v in f] == pytest.approx([-1.25 * sine, cosine], rel=1e-12)
    assert [v.item() for v in g] == pytest.approx([1.25 * cosine, sine], rel=1e-12)


def test_concave_has_no_gradient_in_x_where_it_is_clamped() -> None:
    model = Concave(start=(2.0, 0.5)).model()
    result = Concave().evaluate(model, None)
    assert torch.autograd.grad(result.objective + result.constraints["g"], model.x)[0].item() == 0


# Appendix B.3


def test_rate_draws_the_same_points_whatever_the_seed() -> None:
    torch.manual_seed(1)
    points, labels = Rate().data()
    torch.manual_seed(2)
    again, _ = Rate().data()
    assert torch.equal(points, again)
    assert points.shape == (400, 2)
    assert labels.tolist() == [1.0] * 200 + [0.0] * 200
    generator = torch.Generator().manual_seed(0)
    for cloud, centre in zip(points.split(100), [(0, 1), (-1, 0), (0, -1), (1, 0)], strict=True):
        noise = (cloud - torch.tensor(centre)) / math.sqrt(0.05)
        torch.testing.assert_close(noise, torch.randn(100, 2, generator=generator), atol=1e-5, rtol=1e-5)


def test_rate_counts_and_their_surrogate_by_hand() -> None:
    model = Rate().model()
    assert model.weight.tolist() == [[1.0, -1.0]]
    assert model.bias.tolist() == [0.0]
    points = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [1.0, 1.0]])
    labels = torch.tensor([1.0, 0.0, 1.0, 0.0])
    result = Rate().measure(model, (points, labels))
    assert result.strict is not None
    logits = [2, -1, -3, 0]
    assert result.strict["class0_rate"].item() == 0.5, "a logit of 0 is predicted as class 1"
    surrogate = sum(1 / (1 + math.exp(logit)) for logit in logits) / 4
    assert result.constraints["class0_rate"].item() == pytest.approx(surrogate, rel=1e-6)
    losses = [math.log1p(math.exp(-2)), math.log1p(math.exp(-1)), math.log1p(math.exp(3)), math.log(2)]
    assert result.objective.item() == pytest.approx(sum(losses) / 4, rel=1e-6)
    assert scalars(result.metrics) == {"accuracy": 0.5}


def test_rate_surrogate_moves_the_model_and_training_does_not_pay_for_the_accuracy() -> None:
    model = Rate().model()
    result = Rate().evaluate(model, Rate().data())
    assert result.strict is not None
    (gradient,) = torch.autograd.grad(result.constraints["class0_rate"], model.bias)
    assert gradient.item() < 0, "a larger bias predicts class 1 more often"
    assert not result.strict["class0_rate"].requires_grad
    assert result.metrics == {}
    count = result.strict["class0_rate"].item() * 400
    assert count == pytest.approx(round(count), abs=1e-3)


def test_rate_has_the_points_it_is_asked_for() -> None:
    points, labels = Rate(points_per_class=3).data()
    assert points.shape == (12, 2)
    assert labels.sum().item() == 6


@pytest.mark.parametrize("count", [0, -1, 2.5, True])
def test_rate_refuses_other_counts(count: Any) -> None:
    with pytest.raises(CpdError, match=r"^arguments.points_per_class: .* give a whole number from 1 on$"):
        Rate(points_per_class=count)


# Hard-concrete gates


@pytest.mark.parametrize("temperature", [2 / 3, 0.3])
@pytest.mark.parametrize("location", [-2.0, 0.0, 1.5])
def test_open_probability_is_how_often_a_sampled_gate_is_not_zero(location: float, temperature: float) -> None:
    torch.manual_seed(0)
    draws = 200_000
    log_alpha = torch.full((draws,), location, dtype=torch.float64)
    probability = 1 / (1 + math.exp(-(location - temperature * math.log(0.1 / 1.1))))
    assert open_probability(log_alpha, temperature)[0].item() == pytest.approx(probability, rel=1e-12)
    gates = sampled_gates(log_alpha, temperature)
    deviation = math.sqrt(probability * (1 - probability) / draws)
    assert (gates > 0).double().mean().item() == pytest.approx(probability, abs=5 * deviation)
    # By symmetry, a gate at -log_alpha is 0 as often as one at log_alpha is 1.
    saturated = 1 - 1 / (1 + math.exp(-(-location - temperature * math.log(0.1 / 1.1))))
    assert (gates == 1).double().mean().item() == pytest.approx(saturated, abs=5 * deviation + 2e-3)
    assert gates.median().item() == pytest.approx(median_gates(log_alpha, temperature)[0].item(), abs=0.02)


def test_quantiles_are_stretched_and_clipped() -> None:
    def by_hand(u: float, location: float) -> float:
        s = 1 / (1 + math.exp(-(math.log(u) - math.log(1 - u) + location) / (2 / 3)))
        return min(1, max(0, 1.2 * s - 0.1))

    cases = [(0.5, 0.0), (0.2, 0.4), (0.9, -1.0), (0.01, 0.0), (0.99, 0.0), (0.5, 3.0), (0.5, -3.0)]
    expected = [by_hand(u, location) for u, location in cases]
    u, locations = torch.tensor(cases, dtype=torch.float64).unbind(1)
    assert quantile_gates(u, locations).tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert expected[0] == pytest.approx(0.5)
    assert {expected[3], expected[4], expected[5], expected[6]} == {0, 1}
    assert median_gates(locations).tolist() == pytest.approx([by_hand(0.5, x) for _, x in cases], rel=1e-12)


def test_sampled_gates_pass_finite_gradients_at_the_ends_of_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    log_alpha = torch.zeros(2, requires_grad=True)
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.tensor([0.0, 1.0]))
    gates = sampled_gates(log_alpha)
    (gradient,) = torch.autograd.grad(gates.sum(), log_alpha)
    assert gates.tolist() == [0, 1]
    assert gradient.isfinite().all()


def test_layer_starts_at_its_drop_rate_with_weights_of_the_usual_size() -> None:
    torch.manual_seed(0)
    plain = torch.nn.Linear(4000, 3)
    torch.manual_seed(0)
    layer = HardConcreteLinear(4000, 3, drop_rate=0.2)
    assert layer.log_alpha.mean().item() == pytest.approx(math.log(4), abs=1e-3)
    assert layer.log_alpha.std().item() == pytest.approx(0.01, rel=0.1)
    torch.testing.assert_close(layer.weight * 0.8, plain.weight)
    torch.testing.assert_close(layer.bias, plain.bias)


def test_layer_gates_its_inputs_at_the_median_when_it_is_judged() -> None:
    layer = HardConcreteLinear(3, 2, drop_rate=0.5).eval()
    with torch.no_grad():
        layer.log_alpha.copy_(torch.tensor([-9.0, 0.0, 9.0]))
    x = torch.randn(5, 3)
    expected = (x * torch.tensor([0.0, 0.5, 1.0])) @ layer.weight.T + layer.bias
    torch.testing.assert_close(layer(x), expected)
    assert torch.equal(layer(x), layer(x))
    layer.train()
    torch.manual_seed(0)
    assert not torch.equal(layer(x), layer(x)), "gates are drawn anew in training"


# Appendix B.2


def test_the_three_densities_weigh_each_gate_by_its_weights() -> None:
    first, last = HardConcreteLinear(2, 3, 0.5), HardConcreteLinear(3, 1, 0.5)
    model = torch.nn.Sequential(first, torch.nn.ReLU(), last)
    with torch.no_grad():
        first.log_alpha.copy_(torch.tensor([9.0, -9.0]))
        last.log_alpha.copy_(torch.tensor([0.0, 0.3, -9.0]))
    shift = (2 / 3) * math.log(0.1 / 1.1)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    opened = [sum(sigmoid(a - shift) for a in locations) for locations in ([9, -9], [0, 0.3, -9])]
    expected = (3 * opened[0] + opened[1]) / 9
    assert density(model, open_probability).item() == pytest.approx(expected, rel=1e-6)
    fractional = (3 * 1 + 0.5 + 1.2 * sigmoid(0.3 * 1.5) - 0.1) / 9
    assert density(model, median_gates).item() == pytest.approx(fractional, rel=1e-6)


@pytest.mark.parametrize("hidden", [[], [7], [12, 5], [6, 5, 4]])
def test_sparsity_has_one_gate_for_each_input_unit(hidden: list[int]) -> None:
    problem = Sparsity(hidden=hidden, input_drop_rate=0.1, hidden_drop_rate=0.3)
    model = problem.model()
    layers = [module for module in model if isinstance(module, HardConcreteLinear)]
    widths = [64, *hidden, 10]
    assert [tuple(layer.weight.shape) for layer in layers] == list(zip(widths[1:], widths[:-1], strict=True))
    assert [len(layer.log_alpha) for layer in layers] == widths[:-1]
    assert len(model) == 2 * len(layers) - 1
    means = [layer.log_alpha.mean().item() for layer in layers]
    expected = [math.log(9)] + [math.log(7 / 3)] * len(hidden)
    assert means == pytest.approx(expected, abs=0.02)
    assert model(problem.data()[0][:6]).shape == (6, 10)


def test_sparsity_is_judged_with_median_gates_and_kept_images() -> None:
    problem = Sparsity(hidden=[8])
    torch.manual_seed(0)
    model = problem.model().eval()
    batch = problem.data()
    result = problem.measure(model, batch)
    logits, test_logits = model(batch[0]), model(problem.images.test_inputs)
    loss = torch.nn.functional.cross_entropy(logits, batch[1])
    assert result.objective.item() == pytest.approx(loss.item(), rel=1e-5)
    assert list(result.constraints) == ["density"]
    assert result.constraints["density"].item() == density(model, open_probability).item()
    assert scalars(result.metrics) == {
        "accuracy": pytest.approx((test_logits.argmax(1) == problem.images.test_labels).float().mean().item()),
        "train_accuracy": pytest.approx((logits.argmax(1) == batch[1]).float().mean().item()),
        "median_density": pytest.approx(density(model, median_gates).item()),
        "nonzero_density": 1.0,
    }


def test_sparsity_counts_the_weights_whose_median_gate_is_open() -> None:
    problem = Sparsity(hidden=[8])
    model = problem.model().eval()
    first, last = (layer for layer in model.modules() if isinstance(layer, HardConcreteLinear))
    with torch.no_grad():
        first.log_alpha[:16] = -9
        last.log_alpha[:3] = -9
    share = scalars(problem.measure(model, problem.data()).metrics)["nonzero_density"]
    assert share == pytest.approx((48 * 8 + 5 * 10) / (64 * 8 + 8 * 10))


def test_sparsity_is_judged_alike_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Sparsity(hidden=[8])
    model = problem.model().eval()
    whole = scalars(problem.measure(model, problem.data()).metrics)
    monkeypatch.setattr("cpd.problems.sparsity.CHUNK", 100)
    assert scalars(problem.measure(model, problem.data()).metrics) == pytest.approx(whole, rel=1e-6)


def test_sparsity_is_judged_in_the_precision_of_its_batch() -> None:
    problem = Sparsity(hidden=[8])
    inputs, labels = problem.data()
    result = problem.measure(problem.model().double().eval(), (inputs.double(), labels))
    assert {v.dtype for v in (result.objective, *result.metrics.values())} == {torch.float64}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"hidden": 300}, "arguments.hidden: 300 is no list of widths; e.g. [300, 100]"),
        ({"hidden": [8, 0]}, "arguments.hidden: [8, 0] is no list of widths; e.g. [300, 100]"),
        ({"hidden": [True]}, "arguments.hidden: [True] is no list of widths; e.g. [300, 100]"),
        ({"input_drop_rate": 0}, "arguments.input_drop_rate: 0 is out of range; give a number in (0, 1)"),
        ({"hidden_drop_rate": 1.0}, "arguments.hidden_drop_rate: 1.0 is out of range; give a number in (0, 1)"),
        ({"temperature": math.nan}, "arguments.temperature: nan is out of range; give a number in (0, 1)"),
    ],
)
def test_sparsity_refuses_bad_arguments(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(CpdError) as caught:
        Sparsity(**arguments)
    assert str(caught.value) == line


# All of them, as they are trained


@pytest.mark.parametrize("method", ["evaluate", "measure"])
@pytest.mark.parametrize(
    "problem", [Concave(), Rate(5), Sparsity(hidden=[6, 5]), Recall(), Fairness()], ids=lambda p: type(p).__name__
)
def test_stacked_copies_equal_one_by_one(problem: cpd.Problem, method: str) -> None:
    torch.manual_seed(0)
    bound = Bound(problem, problem.model().double())
    bound.train(method == "evaluate")
    data = problem.data()
    batch = data and tuple(t[:50].double() if t.is_floating_point() else t[:50] for t in data)
    start = {name: p.detach() for name, p in bound.named_parameters()}
    stack = {name: torch.stack([p, p * 0.9, p + 0.1]) for name, p in start.items()}

    def total(parameters: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        values: dict[str, Tensor] = functional_call(bound, parameters, (batch, method))
        return torch.stack([value.sum() for value in values.values()]).sum(), values

    torch.manual_seed(7)
    gradients, values = vmap(grad(total, has_aux=True), randomness="same")(stack)
    for k in range(3):
        torch.manual_seed(7)
        gradient, value = grad(total, has_aux=True)({name: p[k] for name, p in stack.items()})
        torch.testing.assert_close({n: v[k] for n, v in values.items()}, value, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close({n: v[k] for n, v in gradients.items()}, gradient, rtol=1e-10, atol=1e-12)
