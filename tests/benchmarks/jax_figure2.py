"""The 40 runs of Figure 2 as one JAX program, ``vmap`` over runs and ``scan`` over steps: the practical limit.

``python jax_figure2.py [--steps 10000] [--seeds 1]`` prints the seconds of the loop as JSON, compiling left out.
"""

import argparse
import json
import time

import jax
import jax.numpy as jnp
from cooper_figure2 import LEVEL, gaussians, grid

State = tuple[dict[str, jax.Array], jax.Array]
"""Parameters and multiplier."""


def main() -> None:
    """Run and print seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    x, y = (jnp.asarray(t.numpy()) for t in gaussians())

    def lagrangian(parameters: dict[str, jax.Array], multiplier: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = x @ parameters["weight"] + parameters["bias"]
        loss = jnp.mean(jax.nn.softplus(logits) - y * logits)
        strict = jnp.mean((logits < 0).astype(jnp.float32))
        return loss + multiplier * (LEVEL - jnp.mean(1 - jax.nn.sigmoid(logits))), strict

    def train(coefficient: jax.Array, dual_lr: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(state: State, _: None) -> tuple[State, jax.Array]:
            parameters, multiplier = state
            logits = x @ parameters["weight"] + parameters["bias"]
            strict = jnp.mean((logits < 0).astype(jnp.float32))
            multiplier = jnp.maximum(multiplier + dual_lr * (LEVEL - strict), 0)
            gradient, _ = jax.grad(lagrangian, has_aux=True)(parameters, multiplier)
            parameters = jax.tree.map(lambda p, g: p - 0.02 * g, parameters, gradient)
            return (parameters, multiplier), strict

        start = ({"weight": jnp.array([1.0, -1.0]), "bias": jnp.array(0.0)}, coefficient)
        (parameters, _), strict = jax.lax.scan(step, start, None, length=arguments.steps)
        logits = x @ parameters["weight"] + parameters["bias"]
        return jnp.mean((logits < 0).astype(jnp.float32)), strict[::20]

    values = jnp.array(grid(), dtype=jnp.float32)
    zeros = jnp.zeros_like(values)
    runs = (
        jnp.tile(jnp.concatenate([values, zeros]), arguments.seeds),
        jnp.tile(jnp.concatenate([zeros, values]), arguments.seeds),
    )
    program = jax.jit(jax.vmap(train)).lower(*runs).compile()
    jax.block_until_ready(program(*runs))
    started = time.perf_counter()
    rates, _ = jax.block_until_ready(program(*runs))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "runs": len(rates), "rates": [float(rate) for rate in rates]}))


if __name__ == "__main__":
    main()
