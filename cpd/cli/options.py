"""The options that every training command shares, written once."""

import functools
import inspect
import shlex
import sys
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from cpd.verdict.summary import GAP

Format = Annotated[
    Literal["table", "json", "csv", "markdown", "latex"], typer.Option("--format", "-f", help="How to print the data.")
]
Store = Annotated[
    str | None, typer.Option("--store", help="The store of runs [default: CPD_STORE, else ./.cpd/runs.sqlite].")
]
Gap = Annotated[
    float, typer.Option(help="A setting is useful within this share of the best feasible objective.", min=0.0)
]


def _shared(
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="Only this method; may be given again.")
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A hyperparameter or another value of the spec, e.g. penalized.coefficient=1e-3:1e1:9:log or "
            "train.steps=500; may be given again.",
        ),
    ] = None,
    levels: Annotated[
        list[str] | None, typer.Option(help="Constraint levels to sweep, e.g. class0_rate=0.6,0.7.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds: 0:5 (half-open) or 1,2,7.")] = None,
    max_runs: Annotated[int, typer.Option(help="Refuse a sweep of more runs than this.", min=1)] = 100_000,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, mps.")] = "cpu",
    devices: Annotated[
        str | None, typer.Option(help="One worker on each of these devices, e.g. cuda:0,cuda:1.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", help="Worker processes [default: as many as help].", min=1)
    ] = None,
    backend: Annotated[
        Literal["local", "dask", "ray"], typer.Option(help="Where batches go: this machine, or a cluster.")
    ] = "local",
    scheduler: Annotated[str | None, typer.Option(help="Address of the Dask scheduler, e.g. tcp://host:8786.")] = None,
    address: Annotated[str | None, typer.Option(help="Address of the Ray cluster, e.g. auto.")] = None,
    engine: Annotated[
        Literal["auto", "eager", "captured", "compiled"], typer.Option(help="How the training step is executed.")
    ] = "auto",
    fuse: Annotated[str, typer.Option(help="Most runs in one fused program: a number, auto or off.")] = "auto",
    store: Store = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep nothing.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train again what the store has.")] = False,
    checkpoint_every: Annotated[
        float, typer.Option(help="Seconds of work that may be lost when the machine dies.", min=0.0)
    ] = 60.0,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Give up penalised runs that, half-way or later, are 10 tolerances on the wrong side of the level and "
            "would not come back at twice their pace; they are marked pruned, and no results.",
        ),
    ] = False,
    retries: Annotated[int, typer.Option(help="Times a batch is tried again after its worker died.", min=0)] = 1,
    stall_timeout: Annotated[
        float, typer.Option(help="Seconds without any result after which a sweep gives up.", min=1.0)
    ] = 600.0,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failed run.")] = False,
    plot: Annotated[str | None, typer.Option(help="Draw the result into this .png, .svg or .pdf.")] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(help="Tell a tracker: tensorboard:DIR or package.module:Class; may be given again."),
    ] = None,
    gap: Gap = GAP,
    form: Format = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes on stderr.")] = False,
) -> None:
    """The signature that :func:`training_options` copies; never called."""


class Shared(typing.NamedTuple):
    """The shared options as given."""

    method: list[str] | None
    assign: list[str] | None
    levels: list[str] | None
    seeds: str | None
    max_runs: int
    device: str
    devices: str | None
    jobs: int | None
    backend: str
    scheduler: str | None
    address: str | None
    engine: str
    fuse: str
    store: str | None
    no_store: bool
    fresh: bool
    checkpoint_every: float
    prune: bool
    retries: int
    stall_timeout: float
    fail_fast: bool
    plot: str | None
    log: list[str] | None
    gap: float
    form: str
    quiet: bool

    def overrides(self) -> Any:
        """What the options change in the spec."""
        from cpd.spec.overrides import Overrides

        return Overrides(
            methods=tuple(self.method or ()),
            set=tuple(self.assign or ()),
            levels=tuple(self.levels or ()),
            seeds=self.seeds,
            max_runs=self.max_runs,
        )

    def options(self) -> Any:
        """Where and how to run."""
        from cpd.run.options import Options, read_fuse

        return Options(
            device=self.device,
            devices=tuple(d.strip() for d in self.devices.split(",")) if self.devices else (),
            jobs=self.jobs,
            backend=self.backend,
            address=self.scheduler or self.address,
            engine=self.engine,
            fuse=read_fuse(self.fuse),
            store=self.store,
            keep=not self.no_store,
            fresh=self.fresh,
            checkpoint_every=self.checkpoint_every,
            prune=self.prune,
            retries=self.retries,
            stall_timeout=self.stall_timeout,
            fail_fast=self.fail_fast,
            gap=self.gap,
            trackers=tuple(self.log or ()),
            command_line=shlex.join(["cpd", *sys.argv[1:]]),
        )


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it receives them as ``shared: Shared``."""
    own = inspect.signature(command)
    common = inspect.signature(_shared).parameters

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        shared = Shared(**{name: values.pop(name) for name in common})
        if shared.plot:
            _check_plot(shared.plot)
        command(**values, shared=shared)

    kept = [p for n, p in own.parameters.items() if n != "shared"]
    extra = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in common.values()]
    kept = [p if p.kind is not p.POSITIONAL_OR_KEYWORD else p.replace(kind=p.KEYWORD_ONLY) for p in kept]
    wrapper.__signature__ = own.replace(parameters=[*kept, *extra])  # type: ignore[attr-defined]
    hints = {
        **typing.get_type_hints(command, include_extras=True),
        **typing.get_type_hints(_shared, include_extras=True),
    }
    wrapper.__annotations__ = {n: h for n, h in hints.items() if n != "shared"}
    del wrapper.__wrapped__
    return wrapper


def _check_plot(to: str) -> None:
    """See before hours of training what would keep a picture from being drawn after them."""
    from pathlib import Path

    from cpd.views.plots.draw import check_file

    check_file(Path(to), "--plot")
