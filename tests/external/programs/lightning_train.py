"""A Lightning program with flags, checkpoints and a result of its own: a classifier that says yes to few."""

import argparse
import os
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import cpd


class Classifier(pl.LightningModule):
    def __init__(self, weight: float, lr: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Linear(2, 1)

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        logits = self.network(batch[0]).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch[1])
        penalised: Tensor = loss + self.hparams["weight"] * logits.sigmoid().mean()
        return penalised

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        logits = self.network(batch[0]).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch[1])
        self.log_dict({"loss": loss, "yes": (logits > 0).float().mean()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


def examples() -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(256, 2, generator=generator)
    return TensorDataset(points, (points.sum(1) + 0.5 > 0).float())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weight", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--max-epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dir", default="runs")
    args = parser.parse_args()

    pl.seed_everything(args.seed, verbose=False)
    data = examples()
    batches, val_batches = DataLoader(data, batch_size=32, shuffle=True), DataLoader(data, batch_size=256)
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    saved = ModelCheckpoint(dirpath=f"{args.dir}/checkpoints", save_last=True)
    trainer = pl.Trainer(max_epochs=args.max_epochs, accelerator="cpu", callbacks=[saved], **quiet)
    model = Classifier(args.weight, args.lr)
    last = f"{args.dir}/checkpoints/last.ckpt"
    going_on = "CPD_RESUME" in os.environ and os.path.exists(last)
    trainer.fit(model, batches, val_batches, ckpt_path=last if going_on else None)
    more = {"steps": trainer.global_step, "went_on": int(going_on)}
    cpd.result(trainer.callback_metrics, model="checkpoints/last.ckpt", **more)


if __name__ == "__main__":
    main()
