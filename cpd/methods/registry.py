"""How constraints enter training: one file per method."""

from cpd.methods import augmented_lagrangian, lagrangian, nupi, penalized, quadratic_penalty
from cpd.methods.method import Method

REGISTRY: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (penalized, quadratic_penalty, lagrangian, nupi, augmented_lagrangian)
}
"""Every method by the name that a YAML uses."""
