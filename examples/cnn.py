# %% [markdown]
# # A small network under a size constraint
#
# A convolutional network with batch normalisation reads handwritten digits (8 by 8 pixels, scikit-learn's). Its
# channels have gates that training may close; at most 30 % of its weights are to be left.
# %%
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

import cpd
from cpd.problems.hard_concrete import median_gates, open_probability, sampled_gates


# %%
class Gates(nn.Module):
    """One gate a channel: random while it trains, so that it has a gradient, and 0 or open when it is judged."""

    def __init__(self, channels):
        super().__init__()
        self.log_alpha = nn.Parameter(1 + 0.01 * torch.randn(channels))

    def forward(self, x):
        gates = sampled_gates(self.log_alpha) if self.training else median_gates(self.log_alpha)
        return x * gates[:, None, None]


def layers(width):
    """Two gated convolutions and a linear layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), Gates(width)),
        *(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), Gates(2 * width)),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * width, 10)),
    )


def size(model, openness):
    """The share of the weights that open channels use."""
    first, second = (openness(one.log_alpha).mean() for one in model if isinstance(one, Gates))
    weights = [one.weight.numel() for one in model if isinstance(one, nn.Conv2d | nn.Linear)]
    used = weights[0] * first + weights[1] * first * second + weights[2] * second
    return used / sum(weights)


# %% [markdown]
# What is trained is the expected size, which has a gradient; a finished model is judged by the channels that it has
# left (`measure`), on a quarter of the digits that it has not seen (`held_out`).
# %%
def digits(part):
    """Pictures ``[n, 1, 8, 8]`` and their digits, to train on (0) or to judge by (1)."""
    table = load_digits()
    rows = train_test_split(range(len(table.target)), test_size=0.25, stratify=table.target, random_state=0)[part]
    return (table.images[rows] / 16).astype("float32")[:, None], table.target[rows]


class Digits(cpd.Problem):
    def data(self):
        return digits(0)

    def held_out(self):
        return digits(1)

    def model(self):
        return layers(width=16)

    def evaluate(self, model, batch):
        x, digit = batch
        return cpd.Evaluation(functional.cross_entropy(model(x), digit), {"size": size(model, open_probability)})

    def measure(self, model, batch):
        x, digit = batch
        scores = model(x)
        left = size(model, lambda log_alpha: (median_gates(log_alpha) > 0).to(log_alpha.dtype))
        accuracy = cpd.share(scores.argmax(1) == digit)
        return cpd.Evaluation(functional.cross_entropy(scores, digit), {"size": left}, metrics={"accuracy": accuracy})


# %% [markdown]
# Twelve settings in two worker processes:
# %%
result = cpd.sweep(
    problem=Digits,
    objective="cross_entropy",
    constraints={"size": {"level": 0.3, "sense": "<=", "tolerance": 0.01}},
    train={
        "epochs": 20,
        "batch_size": 128,
        "optimizer": {"name": "Adam", "lr": 0.01},
        "groups": {"*.log_alpha": {"lr": 0.05}},
    },
    methods={
        "penalized": {"coefficient": {"min": 0.1, "max": 10, "num": 6, "scale": "log"}},
        "lagrangian": {"dual_lr": {"min": 0.01, "max": 1, "num": 6, "scale": "log"}, "restart": True},
    },
    jobs=2,
)
result

# %%
result.plot()

# %% [markdown]
# A small coefficient leaves the network too large, and a large one leaves little that reads digits: one has to hit what
# is between them. A multiplier grows until the network is small enough, and goes back to 0 then (`restart`).
#
# ## The model
#
# The best setting's weights, and BatchNorm's statistics, were kept. `result.model()` is the module with them, in
# `eval()` mode; on the digits that it has not seen it is as good as the table says.
# %%
best = result.best("lagrangian")
model = result.model("lagrangian")
x, digit = map(torch.from_numpy, digits(1))
with torch.no_grad():
    predicted = model(x).argmax(1)
accuracy = (predicted == digit).float().mean().item()
assert abs(accuracy - best.held_out["metrics"]["accuracy"]) < 1e-6
left = best.held_out["constraints"]["size"]["value"]
print(f"{best.setting}: {left:.1%} of the weights left, accuracy {accuracy:.1%}")

# %%
print("predicted", predicted[:20].tolist())
print("written  ", digit[:20].tolist())
