"""Options declared in dataclasses: what the command line reads is what Python would have written."""

import shlex
import sys
from dataclasses import fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cpd.cli.main import app
from cpd.cli.options import SHARED, Output, Shared, declared, training_options
from cpd.cli.tables import Shaping
from cpd.run.options import Options
from cpd.spec.overrides import Overrides


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read words as a training command does."""
    read: list[Shared] = []
    small = typer.Typer()

    @small.command()
    @training_options
    def command(*, shared: Shared) -> None:
        read.append(shared)

    def parse(words: str) -> Shared:
        monkeypatch.setattr(sys, "argv", ["cpd", *shlex.split(words)])
        done = CliRunner().invoke(small, shlex.split(words), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return read[-1]

    return parse


def test_without_words_all_is_as_in_python(parse: Any) -> None:
    assert parse("") == Shared(Overrides(), Options(command_line="cpd"), Output(), Shaping())


def test_every_word_is_read(parse: Any) -> None:
    words = (
        "-m nupi --method penalized --set a=1 --set b=2 --levels g=1 --seeds 0:3 --max-runs 7 --device cuda "
        "--devices 'cuda:0, cuda:1' -j 2 --backend dask --scheduler tcp://x:1 --engine eager --fuse 5 "
        "--store here.sqlite --no-store --fresh --checkpoint-every 3 --prune --retries 0 --stall-timeout 9 "
        "--fail-fast --gap 0.1 --log tensorboard:x --log a:B --plot x.png -f json -q --dry-run"
    )
    overrides, options, output, shaping = parse(words)
    assert shaping == Shaping()
    assert overrides == Overrides(("nupi", "penalized"), ("a=1", "b=2"), ("g=1",), "0:3", 7)
    assert options == Options(
        device="cuda",
        devices=("cuda:0", "cuda:1"),
        jobs=2,
        backend="dask",
        address="tcp://x:1",
        engine="eager",
        fuse=5,
        store="here.sqlite",
        keep=False,
        fresh=True,
        checkpoint_every=3.0,
        prune=True,
        retries=0,
        stall_timeout=9.0,
        fail_fast=True,
        gap=0.1,
        trackers=("tensorboard:x", "a:B"),
        command_line=f"cpd {words}",
    )
    assert output == Output("x.png", "json", True, dry_run=True)


@pytest.mark.parametrize(("word", "fuse"), [("auto", None), ("off", 1), ("12", 12)])
def test_fuse(word: str, fuse: int | None, parse: Any) -> None:
    assert parse(f"--fuse {word}").options.fuse == fuse


def test_a_cluster_has_one_address_by_either_name(parse: Any) -> None:
    assert parse("--address auto").options.address == parse("--scheduler auto").options.address == "auto"


def test_all_fields_but_the_command_line_are_options() -> None:
    names = {kind: {name for name, *_ in declared(kind)} for kind in SHARED}
    others = {"command_line", "budget"}  # a budget is an option of compare alone
    assert names == {kind: {field.name for field in fields(kind)} - others for kind in SHARED}


@pytest.mark.parametrize("command", ["sweep", "compare", "bisect"])
def test_every_training_command_has_them_all(command: str) -> None:
    group: Any = typer.main.get_command(app)
    known = group.commands[command].params
    has = {name for one in known for name in (*one.opts, "/".join([*one.opts, *one.secondary_opts]))}
    options = [(name, option) for kind in SHARED for name, _, option, _ in declared(kind)]
    for name, option in options:
        assert set(option.names or (f"--{name.replace('_', '-')}",)) <= has
        assert option.help.rstrip().endswith(".")
