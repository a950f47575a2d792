"""Every method against its printed equation by hand, its identities, and one contract for all."""

from typing import Any

import pytest
import torch
from method_settings import setting
from torch.fx.experimental.proxy_tensor import make_fx

from cpd.errors import CpdError
from cpd.methods.method import Method
from cpd.methods.multipliers import DRIVEN
from cpd.methods.registry import REGISTRY

INEQUALITY = torch.tensor([False])
EQUALITY = torch.tensor([True])


def states(name: str, errors: list[float], equality: torch.Tensor = INEQUALITY, **given: Any) -> list[Any]:
    """The states after each of several strict violations."""
    method, chosen = REGISTRY[name], setting(name, **given)
    state = method.init(chosen, torch.zeros(1, dtype=torch.float64))
    found = []
    for error in errors:
        state = method.update(torch.tensor([error], dtype=torch.float64), state, chosen, equality)
        found.append(state)
    return found


def multipliers(name: str, errors: list[float], equality: torch.Tensor = INEQUALITY, **given: Any) -> list[float]:
    read = REGISTRY[name].multipliers
    assert read is not None
    return [read(state).item() for state in states(name, errors, equality, **given)]


def term(name: str, g: float, state: Any, equality: torch.Tensor = INEQUALITY, **given: Any) -> tuple[float, float]:
    """The term and its derivative at a surrogate violation."""
    x = torch.tensor([g], dtype=torch.float64, requires_grad=True)
    value = REGISTRY[name].penalty_term(x, state, setting(name, **given), equality)
    (slope,) = torch.autograd.grad(value, x)
    return value.item(), slope.item()


ERRORS = [0.5, -0.2, 0.4]
ADAM = setting("lagrangian", dual_lr=0.1, dual_optimizer="Adam")


# By hand, three steps


def test_penalized_adds_the_coefficient_times_the_violation() -> None:
    for state in states("penalized", ERRORS, coefficient=3.0):
        assert term("penalized", 0.5, state, coefficient=3.0) == (1.5, 3.0)
        assert term("penalized", -0.5, state, coefficient=3.0) == (-1.5, 3.0)


def test_quadratic_penalty_counts_what_is_violated_and_grows_there() -> None:
    found = states("quadratic_penalty", ERRORS, coefficient=2.0, growth=3.0)
    assert [s.coefficient.item() for s in found] == [2.0, 6.0, 6.0]
    assert [s.grown.item() for s in found] == [6.0, 6.0, 18.0]
    assert term("quadratic_penalty", 0.5, found[1]) == (6 / 2 * 0.25, 6 * 0.5)
    assert term("quadratic_penalty", -0.5, found[1]) == (0.0, 0.0)
    assert term("quadratic_penalty", -0.5, found[1], EQUALITY) == (6 / 2 * 0.25, -6 * 0.5)
    signed = states("quadratic_penalty", [0.5, -0.2, 0.0], EQUALITY, coefficient=2.0, growth=3.0)
    assert [s.grown.item() for s in signed] == [6.0, 18.0, 18.0]
    fixed = states("quadratic_penalty", ERRORS, coefficient=2.0)
    assert [s.coefficient.item() for s in fixed] == [2.0, 2.0, 2.0]


def test_lagrangian_ascends_and_projects() -> None:
    assert multipliers("lagrangian", [0.5, -0.2, -0.9], dual_lr=0.1) == pytest.approx([0.05, 0.03, 0.0])
    assert multipliers("lagrangian", [0.5, -0.2, -0.9], EQUALITY, dual_lr=0.1) == pytest.approx([0.05, 0.03, -0.06])
    started = multipliers("lagrangian", ERRORS, dual_lr=0.1, multiplier_init=1.0)
    assert started == pytest.approx([1.05, 1.03, 1.07])
    (state, *_) = states("lagrangian", [0.5], dual_lr=0.1)
    assert term("lagrangian", -2.0, state) == pytest.approx((-0.1, 0.05))


def test_restart_forgets_the_multiplier_of_a_satisfied_inequality() -> None:
    assert multipliers("lagrangian", ERRORS, dual_lr=0.1, restart=True) == pytest.approx([0.05, 0.0, 0.04])
    free = multipliers("lagrangian", ERRORS, EQUALITY, dual_lr=0.1, restart=True)
    assert free == pytest.approx([0.05, 0.03, 0.07])
    at_the_edge = multipliers("lagrangian", [0.5, 0.0], dual_lr=0.1, restart=True)
    assert at_the_edge == pytest.approx([0.05, 0.05])


def test_lagrangian_with_adam_takes_adams_steps() -> None:
    # By hand: m1 = .05, v1 = .00025; corrected m = .5, v = .25; step = lr * .5 / .5 = lr.
    first = 0.1 * 0.5 / (0.25**0.5 + 1e-8)
    m2, v2 = 0.9 * 0.05 + 0.1 * -0.2, 0.999 * 0.00025 + 0.001 * 0.04
    second = first + 0.1 * (m2 / (1 - 0.9**2)) / ((v2 / (1 - 0.999**2)) ** 0.5 + 1e-8)
    m3, v3 = 0.9 * m2 + 0.1 * 0.4, 0.999 * v2 + 0.001 * 0.16
    third = second + 0.1 * (m3 / (1 - 0.9**3)) / ((v3 / (1 - 0.999**3)) ** 0.5 + 1e-8)
    found = multipliers("lagrangian", ERRORS, dual_lr=0.1, dual_optimizer="Adam")
    assert found == pytest.approx([first, second, third], rel=1e-12)


def test_dual_adam_keeps_the_digits_of_float32() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.Adam([weight], lr=0.1, maximize=True)
    chosen = {n: v if isinstance(v, str | bool) else v.float() for n, v in ADAM.items()}
    state = REGISTRY["lagrangian"].init(chosen, torch.zeros(1))
    for error in (0.3, 0.4, 0.2, 0.5):
        weight.grad = torch.tensor([error])
        reference.step()
        state = REGISTRY["lagrangian"].update(torch.tensor([error]), state, chosen, INEQUALITY)
        torch.testing.assert_close(state.multiplier, weight.detach(), rtol=1e-6, atol=0)


def test_nupi_as_released_leaves_kp_out_of_the_first_step() -> None:
    # eta .5, kp 2, ki 1, nu 0: xi_t = e_t, but xi_0 = 0.
    # t0: .5 * .5 = .25; t1: .25 + .5 * (-.2 + 2 * (-.2 - 0)) = -.05 -> 0; t2: .5 * (.4 + 2 * (.4 + .2)) = .8
    assert multipliers("nupi", ERRORS, dual_lr=0.5, kp=2.0) == pytest.approx([0.25, 0.0, 0.8])
    # nu .5: xi_1 = .5 * 0 + .5 * -.2 = -.1; xi_2 = -.05 + .2 = .15
    # t1: .25 + .5 * (-.2 + 2 * -.1) = .05; t2: .05 + .5 * (.4 + 2 * .25) = .5
    assert multipliers("nupi", ERRORS, dual_lr=0.5, kp=2.0, nu=0.5) == pytest.approx([0.25, 0.05, 0.5])


def test_nupi_as_documented_starts_from_the_first_error() -> None:
    # xi_0 = e_0 = .5. nu 0: t1: .25 + .5 * (-.2 + 2 * (-.2 - .5)) = -.55 -> 0 (equality: -.55)
    # t2: -.55 + .5 * (.4 + 2 * (.4 + .2)) = .25
    found = multipliers("nupi", ERRORS, EQUALITY, dual_lr=0.5, kp=2.0, init="documented")
    assert found == pytest.approx([0.25, -0.55, 0.25])
    # nu .5, gains 1, errors 1, 2, 4: xi = 1, 1.5, 2.75: 1; 1 + 2 + .5 = 3.5; 3.5 + 4 + 1.25 = 8.75
    found = multipliers("nupi", [1.0, 2.0, 4.0], dual_lr=1.0, kp=1.0, nu=0.5, init="documented")
    assert found == pytest.approx([1.0, 3.5, 8.75])


def test_nupi_from_zeros_treats_the_first_step_like_any_other() -> None:
    # nu 0: t0: .5 * (.5 + 2 * .5) = .75; t1: .75 + .5 * (-.2 + 2 * (-.2 - .5)) = -.05 -> 0; t2: .5 * (.4 + 1.2) = .8
    assert multipliers("nupi", ERRORS, dual_lr=0.5, kp=2.0, init="zeros") == pytest.approx([0.75, 0.0, 0.8])


def test_nupi_can_leave_the_integral_out() -> None:
    # ki 0, kp 1, eta 1, nu 0, released: t0: 0; t1: -.2 -> 0; t2: .6
    assert multipliers("nupi", ERRORS, dual_lr=1.0, kp=1.0, ki=0.0) == pytest.approx([0.0, 0.0, 0.6])


def test_augmented_lagrangian_moves_multiplier_and_penalty() -> None:
    found = states("augmented_lagrangian", ERRORS, dual_lr=0.5, penalty=2.0, growth=3.0)
    assert [s.multiplier.item() for s in found] == pytest.approx([0.25, 0.15, 0.35])
    assert [s.penalty.item() for s in found] == [2.0, 6.0, 6.0]
    assert found[2].grown.item() == 18.0
    state = found[1]  # lambda .15, c 6
    # (1 / 2c) ([lambda + c g]+^2 - lambda^2): at g = .5: (3.15^2 - .0225) / 12, slope 3.15; at -.5: -.0225 / 12, 0
    assert term("augmented_lagrangian", 0.5, state) == pytest.approx(((3.15**2 - 0.0225) / 12, 3.15))
    assert term("augmented_lagrangian", -0.5, state) == pytest.approx((-0.0225 / 12, 0.0))
    assert term("augmented_lagrangian", -0.5, state, EQUALITY) == pytest.approx((-0.075 + 3 * 0.25, 0.15 - 3.0))


def coefficients(
    rule: dict[str, float], errors: list[float], equality: torch.Tensor = INEQUALITY, start: float = 1.0
) -> list[float]:
    """What the coefficient is from the next step on, after each of several strict violations."""
    method, found = REGISTRY["quadratic_penalty"], []
    growth = {n: torch.tensor([v], dtype=torch.float64) for n, v in rule.items()}
    chosen = {"coefficient": torch.tensor([start], dtype=torch.float64), "growth": growth}
    state = method.init(chosen, torch.zeros(1, dtype=torch.float64))
    for step, error in enumerate(errors):
        at = chosen | {"step": torch.tensor(step)}
        state = method.update(torch.tensor([error], dtype=torch.float64), state, at, equality)
        found.append(state.grown.item())
    return found


def test_a_penalty_grows_unless_its_violation_was_reduced() -> None:
    rule = {"factor": 10.0, "unless_reduced_to": 0.25}
    # The first check has no earlier one. 0.2 <= 0.25 * 1; 0.1 > 0.25 * 0.2; held; 0.1 > 0; -0.1 holds, or |h| = 0.1.
    errors = [1.0, 0.2, 0.1, 0.0, 0.1, -0.1]
    assert coefficients(rule, errors) == [1, 1, 10, 10, 100, 100]
    assert coefficients(rule, errors, EQUALITY) == [1, 1, 10, 10, 100, 1000]


def test_a_penalty_is_looked_at_every_so_many_steps() -> None:
    rule = {"factor": 2.0, "unless_reduced_to": 0.5, "every": 2.0, "max": 3.0}
    # Checks see 1.0, 0.9, 0.3, 0.2: twice as large at most, and not beyond 3.
    errors = [9.0, 1.0, 9.0, 0.9, 9.0, 0.3, 9.0, 0.2]
    assert coefficients(rule, errors) == [1, 1, 1, 2, 2, 2, 2, 3]
    assert coefficients(rule, errors, start=5.0) == [5] * 8, "what starts above the bound stays"


def test_a_penalty_may_grow_by_addition() -> None:
    assert coefficients({"add": 0.5}, [1.0, -1.0, 0.1]) == [1.5, 1.5, 2.0]
    assert coefficients({"add": 0.5, "max": 1.75}, [1.0, 1.0, 0.1]) == [1.5, 1.75, 1.75]


def test_a_growing_penalty_leaves_the_multiplier_to_its_own_rule() -> None:
    method = REGISTRY["augmented_lagrangian"]
    assert method.move is not None
    assert method.grow is not None
    chosen = setting("augmented_lagrangian", dual_lr=0.5, penalty=2.0, growth=3.0)
    g, state = torch.tensor([0.5], dtype=torch.float64), method.init(chosen, torch.zeros(1, dtype=torch.float64))
    moved = method.move(g, state, chosen, INEQUALITY)
    assert [leaf.item() for leaf in moved] == [0.25, 2.0, 2.0]
    assert [leaf.item() for leaf in method.grow(g, moved, chosen, INEQUALITY)] == [0.25, 2.0, 6.0]


# Identities


def test_nupi_without_kp_is_gradient_ascent() -> None:
    for equality in (INEQUALITY, EQUALITY):
        expected = multipliers("lagrangian", ERRORS, equality, dual_lr=0.3)
        for init in ("released", "documented", "zeros"):
            assert multipliers("nupi", ERRORS, equality, dual_lr=0.3, nu=0.4, init=init) == expected


@pytest.mark.parametrize("g", [-1.0, -0.1, 0.0, 0.3])
def test_augmented_lagrangian_without_penalty_is_the_lagrangian(g: float) -> None:
    for equality in (INEQUALITY, EQUALITY):
        plain = states("lagrangian", ERRORS, equality, dual_lr=0.3)
        augmented = states("augmented_lagrangian", ERRORS, equality, dual_lr=0.3, penalty=0.0)
        for one, other in zip(plain, augmented, strict=True):
            assert one.multiplier.item() == other.multiplier.item()
            assert term("lagrangian", g, one, equality) == term("augmented_lagrangian", g, other, equality)


# One contract for all: a new method is one row


SETTINGS: dict[str, list[dict[str, Any]]] = {
    "penalized": [{"coefficient": 0.7}],
    "quadratic_penalty": [{"coefficient": 0.7, "growth": 1.1}],
    "lagrangian": [{"dual_lr": 0.3}, {"dual_lr": 0.3, "dual_optimizer": "Adam"}, {"dual_lr": 0.3, "restart": True}],
    "nupi": [{"dual_lr": 0.3, "kp": 2.0, "nu": 0.3, "init": init} for init in ("released", "documented", "zeros")],
    "augmented_lagrangian": [{"dual_lr": 0.3, "penalty": 1.5, "growth": 1.1}, {"dual_lr": 0.3, "penalty": 0.0}],
    "exact_penalty": [{"coefficient": 0.7, "growth": 1.1}],
    "log_barrier": [{"sharpness": 3.0, "growth": 1.1}, {"sharpness": 0.5}],
    "pid_lagrangian": [{"dual_lr": 0.3, "kp": 2.0, "ki": 0.5, "kd": 1.5}],
    "geco": [{"dual_lr": 0.3}],
    "entropic": [{"dual_lr": 0.3, "radius": 5.0}],
    "resilient": [{"dual_lr": 0.3, "slack_cost": 2.0}],
    "method_of_multipliers": [{"penalty": 3.0, "phase": 2}],
    "extragradient": [{"dual_lr": 0.3}],
    "switching": [{"coefficient": 0.7, "switch_above": 0.1, "mend": mend} for mend in ("worst", "all")],
    "multiplier_model": [{"dual_lr": 0.3}, {"dual_lr": 0.3, "features": 1}],
    "saga": [{"dual_lr": 0.3}],
    "optimistic": [{"dual_lr": 0.3}],
    "projected": [{"alpha": 0.7}, {"alpha": 0.7, "hold": "violated"}],
}
POSITIVE = ("geco", "entropic")
"""Their multipliers are never 0, and tasks with equalities refuse them."""
COUPLED = ("entropic", "method_of_multipliers", "switching", "multiplier_model")
"""What one constraint does moves the multipliers of others."""
CASES = [(name, given) for name, several in SETTINGS.items() for given in several]


def test_every_method_is_in_the_contract() -> None:
    assert list(SETTINGS) == list(REGISTRY)


def test_the_contract_tries_every_choice() -> None:
    for name, method in REGISTRY.items():
        for hyperparameter, declared in method.hyperparameters.items():
            tried = {given.get(hyperparameter, declared.default) for given in SETTINGS[name]}
            # `update` says with which state the caller acts; the rows below try both. Others act around the method.
            outside = hyperparameter in ("update", "multipliers_on") or hyperparameter in DRIVEN
            assert outside or tried >= set(declared.choices), f"{name}: {hyperparameter}"


def test_every_declaration_is_sound() -> None:
    for method in REGISTRY.values():
        assert next(iter(method.hyperparameters.values())).default is None, "the first one is swept"
        for declared in method.hyperparameters.values():
            if declared.choices:
                assert declared.default in declared.choices
            elif isinstance(declared.default, float):
                assert declared.default > declared.minimum or not declared.exclusive
                assert declared.default >= declared.minimum


def rollout(method: Method, given: dict[str, Any], errors: torch.Tensor, equality: torch.Tensor) -> list[Any]:
    """State, term and slope after each step; ``errors`` is ``[steps, ..., C]``."""
    chosen = setting(method.name, errors.shape[-1], **given)
    state = method.init(chosen, errors[0])
    seen = []
    for g in errors:
        state = method.update(g, state, chosen, equality)
        x = (g * 0.9).requires_grad_()
        value = method.penalty_term(x, state, chosen, equality)
        (slope,) = torch.autograd.grad(value.sum(), x)
        seen.append((value.detach(), slope, *state))
    return seen


@pytest.mark.parametrize(("name", "given"), CASES)
def test_one_run_equals_a_row_of_many(name: str, given: dict[str, Any]) -> None:
    method = REGISTRY[name]
    equality = torch.tensor([False, True, False])
    errors = torch.randn(6, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    many = rollout(method, given, errors, equality)
    for row in range(5):
        alone = rollout(method, given, errors[:, row], equality)
        for of_many, of_one in zip(many, alone, strict=True):
            for several, one in zip(of_many, of_one, strict=True):
                assert torch.equal(several[row], one)


@pytest.mark.parametrize(("name", "given"), [case for case in CASES if REGISTRY[case[0]].multipliers is not None])
def test_inequality_multipliers_stay_at_zero_or_above(name: str, given: dict[str, Any]) -> None:
    method = REGISTRY[name]
    assert method.multipliers is not None
    if method.solved is not None:  # they come from a program, see tests/engine/test_velocities.py
        return
    chosen, equality = setting(name, 2, **given), torch.tensor([False, True])
    state = method.init(chosen, torch.zeros(2, dtype=torch.float64))
    lowest = method.multipliers(state)
    for _ in range(40):
        state = method.update(torch.full((2,), -0.5, dtype=torch.float64), state, chosen, equality)
        lowest = torch.minimum(lowest, method.multipliers(state))
    if name in POSITIVE:
        assert 0 < lowest[0] < 0.05
        with pytest.raises(CpdError, match="two inequalities"):
            method.check(given, ["total"])
        return
    assert lowest[0] == 0
    assert lowest[1] < -0.9


@pytest.mark.parametrize(("name", "given"), CASES)
def test_one_bad_row_leaves_the_others_alone(name: str, given: dict[str, Any]) -> None:
    method, equality = REGISTRY[name], torch.tensor([False, True])
    errors = torch.randn(4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    spoilt = errors.clone()
    spoilt[1, 1] = float("nan")
    for clean, other in zip(
        rollout(method, given, errors, equality), rollout(method, given, spoilt, equality), strict=True
    ):
        for a, b in zip(clean, other, strict=True):
            assert torch.equal(a[[0, 2]], b[[0, 2]])


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
@pytest.mark.parametrize(("name", "given"), CASES)
def test_a_trace_holds_for_other_numbers(name: str, given: dict[str, Any], update: str) -> None:
    """No Python branch on a tensor and no number read out: what was traced at some values gives the step at others."""
    method, equality = REGISTRY[name], torch.tensor([False, True])
    chosen = setting(name, 2, **given) | ({"update": update} if "update" in method.hyperparameters else {})
    errors = torch.randn(8, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))

    def step(g: torch.Tensor, *leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        state = kind(*leaves)
        new = method.update(g, state, chosen, equality)
        acting = state if update == "simultaneous" else new
        return (method.penalty_term(0.9 * g, acting, chosen, equality), *new)

    state = method.init(chosen, errors[0])
    kind = type(state)
    leaves = tuple(leaf.clone() for leaf in state)  # an argument given twice would be traced as one
    traced = make_fx(step)(errors[0].abs(), *leaves)
    assert not any("item" in str(node.target) or "scalar_dense" in str(node.target) for node in traced.graph.nodes)
    for g in errors:
        expected, found = step(g, *leaves), traced(g, *leaves)
        for a, b in zip(expected, found, strict=True):
            assert torch.equal(a, b)
        leaves = expected[1:]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_one_number_per_constraint(name: str, given: dict[str, Any]) -> None:
    """Each component moves as it would alone with its own number."""
    method, equality = REGISTRY[name], torch.tensor([False, True])
    swept = next(iter(method.hyperparameters))
    if name in COUPLED:
        return
    numbers = [given[swept], 2 * given[swept]]
    errors = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    both = rollout(method, given | {swept: numbers}, errors, equality)
    alone = [rollout(method, given | {swept: n}, errors[:, [k]], equality[[k]]) for k, n in enumerate(numbers)]
    for together, first, second in zip(both, *alone, strict=True):
        torch.testing.assert_close(together[0], first[0] + second[0])
        for several, one, other in zip(together[1:], first[1:], second[1:], strict=True):
            assert torch.equal(several, torch.cat([one, other]))


@pytest.mark.parametrize("name", REGISTRY)
def test_a_setting_says_whether_anything_of_it_moves(name: str) -> None:
    method = REGISTRY[name]
    setting = {n: 1.0 if h.default is None else h.default for n, h in method.hyperparameters.items()}
    assert method.moves(setting) == (method.multipliers is not None or method.weight is not None)
    if "growth" in setting:
        assert method.moves(setting | {"growth": 1.01})
