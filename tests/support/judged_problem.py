"""A problem whose kept models are judged again, as text: it is edited by the tests; and its test set."""

PROBLEM = """\
import torch
from torch.nn import functional

import cpd


def drawn(seed, examples):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(examples) % 3 == 0
    return torch.randn(examples, 3, generator=g, dtype=torch.float64) + y[:, None], y


class Mine(cpd.Problem):
    def data(self):
        return drawn(0, 60)

    def model(self):
        first = torch.nn.Linear(3, 4)
        return torch.nn.Sequential(first, torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def evaluate(self, model, batch):
        x, y = batch
        logits = model(x).squeeze(-1)
        loss = functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype))
        values = {
            "recall": cpd.share(torch.sigmoid(logits), of=y),
            "spread": model[1](model[0](x)).square().mean(0),
            "largest": loss * 2,
        }
        rate = (logits > 0).double().mean()
        return cpd.Evaluation(loss, values, {"recall": cpd.share(logits > 0, of=y)}, {"rate": rate})

    def held_out(self):
        return drawn(3, 30)
"""

SPEC = """\
problem: mine.py:Mine
objective: error
constraints: {recall: ">= 0.8", spread: "<= 1.2", largest: "<= 1"}
train: {steps: 30, batch_size: 20, optimizer: {name: SGD, lr: 0.1}, dtype: DTYPE}
seeds: [1, 2]
methods:
  penalized: {coefficient: {values: [0.1, 1]}}
  lagrangian: {dual_lr: {values: [0.01, 0.1]}}
"""

TESTS = """\
import torch
from torch.utils.data import TensorDataset

from mine import drawn


def test_set():
    return drawn(7, 41)


dataset = TensorDataset(*drawn(7, 41))
tensors = drawn(7, 41)


def seen_before():
    x, y = drawn(7, 41)
    return torch.cat([x, drawn(0, 60)[0][5:10]]), torch.cat([y, drawn(0, 60)[1][5:10]])


def narrow():
    x, y = drawn(7, 41)
    return x[:, :2], y


def alone():
    return drawn(7, 41)[:1]


def deep():
    x, y = drawn(7, 41)
    return x, y[:, None]


def empty():
    return drawn(7, 0)


def nothing():
    return None


def raising():
    return {}["gone"]


def needing(folder, size=3):
    return drawn(7, size)


def one_sided():
    x, y = drawn(7, 41)
    return x, torch.zeros_like(y)


class Unending(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from zip(*drawn(7, 41))
"""
