"""Where and how runs are trained and kept. Declared once: the command line makes its options from these fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cpd.errors import CpdError
from cpd.spec.option import KEPT, OUTPUT, VERDICT, Option
from cpd.verdict.confidence import read_confidence
from cpd.verdict.gap import CONFIDENCE, GAP, Gap, read_gap


def read_fuse(text: str) -> int | None:
    """Read ``--fuse``: a number, ``auto`` (None) or ``off`` (1).

    Raises:
        CpdError: None of these.
    """
    if text == "auto":
        return None
    if text == "off":
        return 1
    if not text.isdigit() or int(text) < 1:
        raise CpdError(f"expected an integer >= 1, auto or off, got '{text}'", place="--fuse")
    return int(text)


def read_devices(text: str) -> tuple[str, ...]:
    """Read ``--devices``: names with commas between them."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


@dataclass(frozen=True)
class Options:
    """Where and how to run: what each field is, it says itself.

    Example:
        >>> options = cpd.Options(jobs=1, keep=False)
        >>> len(cpd.sweep("rate", cpd.Overrides(methods=("lagrangian",), set=("train.steps=5",)), options).runs)
        20
    """

    device: Annotated[str, Option("Where to train: cpu, cuda, cuda:1, mps.", metavar="DEVICE")] = "cpu"
    devices: Annotated[
        tuple[str, ...],
        Option("One worker on each of these devices, e.g. cuda:0,cuda:1.", read=read_devices, metavar="DEVICE,..."),
    ] = ()
    jobs: Annotated[
        int | None, Option("Worker processes [default: as many as help].", ("--jobs", "-j"), least=1, metavar="N")
    ] = None
    backend: Annotated[Literal["local", "dask", "ray"], Option("Where batches go: this machine, or a cluster.")] = (
        "local"
    )
    address: Annotated[
        str | None,
        Option(
            "Address of the cluster: of a Dask scheduler, e.g. tcp://host:8786, or of Ray, e.g. auto.",
            ("--scheduler", "--address"),
            metavar="ADDRESS",
        ),
    ] = None
    engine: Annotated[
        Literal["auto", "eager", "captured", "compiled"], Option("How the training step is executed.")
    ] = "auto"
    fuse: Annotated[
        int | None,
        Option("Most runs in one fused program: a number, auto or off [default: auto].", read=read_fuse, metavar="N"),
    ] = None
    loader_workers: Annotated[
        int | None,
        Option(
            "Processes that read the items of a Dataset ahead, where it is read while it trains [default: 2 where that "
            "is slow].",
            least=0,
            metavar="N",
        ),
    ] = None
    store: Annotated[
        str | Path | None,
        Option(
            "The store of runs [default: CPD_STORE, else ./.cpd/runs.sqlite].", read=str, metavar="FILE", group=KEPT
        ),
    ] = None
    keep: Annotated[bool, Option("Keep nothing.", ("--no-store",), group=KEPT)] = True
    fresh: Annotated[bool, Option("Train again what the store has.", ("--fresh",), group=KEPT)] = False
    checkpoint_every: Annotated[
        float,
        Option("Seconds of work that may be lost when the machine dies.", least=0.0, metavar="SECONDS"),
    ] = 60.0
    prune: Annotated[
        bool,
        Option(
            "Give up runs with a fixed penalty that, half-way or later, are 10 tolerances on the wrong side of the "
            "level and would not come back at twice their pace; they are marked pruned, and no results.",
            ("--prune",),
        ),
    ] = False
    halving: Annotated[
        int | None,
        Option(
            "Of programs: after N, N*N, ... recorded points, end those that are not among the best 1/N so far: "
            "feasible first, then the lower objective.",
            least=2,
            metavar="N",
        ),
    ] = None
    retries: Annotated[int, Option("Times a batch is tried again after its worker died.", least=0, metavar="N")] = 1
    stall_timeout: Annotated[
        float,
        Option("Seconds without any result after which a sweep gives up.", least=1.0, metavar="SECONDS"),
    ] = 600.0
    fail_fast: Annotated[bool, Option("Stop at the first failed run.", ("--fail-fast",))] = False
    gap: Annotated[
        Gap,
        Option(
            "How far above the best feasible objective a setting is still useful: a share of the spread between the "
            "worst and the best, or a number such as 0.01 [default: 5%].",
            read=read_gap,
            metavar="GAP",
            group=VERDICT,
        ),
    ] = GAP
    judge: Annotated[
        Literal["training", "held_out"] | None,
        Option(
            "The data that decide: training or held_out [default: held_out where there are such examples].",
            group=VERDICT,
        ),
    ] = None
    confidence: Annotated[
        float,
        Option(
            "How sure a verdict on examples is to be: 0.99 or 99% [default: 95%].",
            read=read_confidence,
            metavar="SHARE",
            group=VERDICT,
        ),
    ] = CONFIDENCE
    keep_models: Annotated[
        Literal["best", "feasible", "all", "none"] | None,
        Option(
            "Whose weights are kept: best, feasible, all or none [default: best, of each method, every seed].",
            group=KEPT,
        ),
    ] = None
    trackers: Annotated[
        tuple[str, ...],
        Option(
            "Tell a tracker: tensorboard:DIR or package.module:Class; may be given again.",
            ("--log",),
            metavar="TRACKER",
            group=OUTPUT,
        ),
    ] = ()
    command_line: str = ""
    """As the user typed it; the command line fills it in."""

    def __post_init__(self) -> None:
        read_gap(self.gap)  # what is no gap is said before hours of training
        read_confidence(self.confidence)
