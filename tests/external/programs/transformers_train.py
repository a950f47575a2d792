"""A program of Hugging Face's Trainer with its own flags: a tiny BERT that says yes to few sentences."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, HfArgumentParser, Trainer, TrainingArguments


@dataclass
class Penalty:
    weight: float = field(default=0.0, metadata={"help": "of the share of sentences that it says yes to"})


class PenalisedTrainer(Trainer):
    weight = 0.0

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], **options: Any) -> Any:
        found = super().compute_loss(model, inputs, **{**options, "return_outputs": True})
        loss, outputs = found
        loss = loss + self.weight * outputs["logits"].softmax(1)[:, 1].mean()
        return (loss, outputs) if options.get("return_outputs") else loss


def sentences() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(5, 32, (64, 6), generator=generator)
    return [{"input_ids": row, "labels": (row[0] > 12).long()} for row in words]


def main() -> None:
    penalty, args = HfArgumentParser((Penalty, TrainingArguments)).parse_args_into_dataclasses()
    torch.manual_seed(args.seed)
    shape = BertConfig(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=8,
    )
    data = sentences()
    trainer = PenalisedTrainer(BertForSequenceClassification(shape), args, train_dataset=data, eval_dataset=data)
    trainer.weight = penalty.weight
    whole = sorted(Path(args.output_dir).glob("checkpoint-*/trainer_state.json"), key=os.path.getmtime)
    trainer.train(resume_from_checkpoint=str(whole[-1].parent) if whole and "CPD_RESUME" in os.environ else None)
    trainer.save_model(f"{args.output_dir}/best")

    found = trainer.predict(data)
    logits, labels = torch.tensor(found.predictions), torch.tensor(found.label_ids)
    values = {
        "loss": nn.functional.cross_entropy(logits, labels).item(),
        "yes": {"hits": int((logits.argmax(1) == 1).sum()), "of": len(labels)},
        "steps": trainer.state.global_step,
        "went_on": int(bool(whole)),
        "model": "best",
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main()
