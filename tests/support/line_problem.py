"""``min (x - 2)^2`` subject to ``x <= 1``: penalised by c it ends at ``x = 2 - c / 2``, feasible from c = 2 on."""

LINE = """\
import torch
import cpd


class Line(cpd.Problem):
    def model(self):
        model = torch.nn.Module()
        model.x = torch.nn.Parameter(torch.zeros(()))
        return model

    def evaluate(self, model, batch):
        return cpd.Evaluation((model.x - 2) ** 2, {"x": model.x})
"""
