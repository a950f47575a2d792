# %% [markdown]
# # The paper in five minutes
#
# A model must meet a requirement. Either a penalty is added to its objective, and one looks for a coefficient that
# works, or a multiplier is trained along with it (the Lagrangian). Ramirez, Hashemizadeh and Lacoste-Julien,
# "Position: Adopt Constraints Over Penalties in Deep Learning" (2025), argue for the second. Here are two of their
# experiments, on a laptop.
# %%
import cpd

# %% [markdown]
# ## How many settings work? (Figure 2)
#
# A classifier of 400 points must predict class 0 for at least 70 % of them. 20 penalty coefficients and 20 dual
# step-sizes are trained, 10,000 steps each, all of a method in one program.
# %%
compared = cpd.compare("penalized", "lagrangian", task="rate")
compared

# %% [markdown]
# What to read:
#
# - *Feasible* settings meet the requirement. The large coefficients do, by calling nearly everything class 0.
# - *Useful* ones meet it at an objective near the best. One coefficient does; of the dual step-sizes more than four
#   decades do.
# - *Trainings to first useful*: how long one looks when one tries the grid from its small end.
# %%
columns = ["method", "feasible_settings", "useful_settings", "useful_decades", "best_objective"]
compared.summary[[*columns, "trainings_to_first_useful"]]

# %%
compared.plot()

# %% [markdown]
# The best coefficient overshoots what was asked for, and its model pays for it; the best dual step-size does not:
# %%
best = {method: compared.best(method) for method in ("penalized", "lagrangian")}
for method, run in best.items():
    rate = run.constraints["class0_rate"]["value"]
    print(f"{method}: {run.setting}, objective {run.objective:.4f}, rate {rate:.2%}")

# %% [markdown]
# ## A requirement that no coefficient meets (Example 1)
#
# Minimise f = cos(x)(1 + y²) subject to g = sin(x)(1 + y²) at most 0.5. Between the two corners the front is concave,
# so the penalised optimum is at a corner whatever the coefficient, and g is near 0 or near 1:
# %%
coefficients = [0.1, 0.3, 0.5, 0.54, 0.55, 0.6, 1, 3]
corners = cpd.sweep("concave", methods={"penalized": {"coefficient": coefficients}}, train={"steps": 3000})
corners.runs[["setting.coefficient", "objective", "constraints.g.value", "feasible"]]

# %% [markdown]
# ## Every level, with one setting (Table 1)
#
# nuPI, a multiplier with a proportional term, meets eight levels of the same g with one pair of hyperparameters. At a
# solution the multiplier is level / sqrt(1 - level²): what one more unit of the level would be worth.
# %%
levels = cpd.sweep("table1")
found = levels.runs[["levels.g", "objective", "constraints.g.value", "constraints.g.multiplier"]].copy()
found["exact multiplier"] = found["levels.g"] / (1 - found["levels.g"] ** 2) ** 0.5
assert ((found["constraints.g.multiplier"] - found["exact multiplier"]).abs() < 1e-3).all()
found

# %%
levels.plot("levels")
