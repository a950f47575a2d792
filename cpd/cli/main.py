"""The ``cpd`` command: which commands there are, and how it ends."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from cpd.cli import (
    completion,
    diff,
    gallery,
    importing,
    judging,
    listing,
    models,
    stored,
    tagging,
    train,
    upkeep,
    watch,
)
from cpd.cli.console import say
from cpd.cli.help import Command, Group
from cpd.cli.streams import closed, nobody_reads, settle
from cpd.cli.usage import usage
from cpd.errors import CpdError
from cpd.views.printable import spelled_out

app = typer.Typer(
    name="cpd",
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (train, gallery, listing, stored, diff, tagging, models, judging, watch, importing, completion, upkeep):
    for command in part.app.registered_commands:
        command.cls = Command
    app.add_typer(part.app, name="store" if part is upkeep else None)


def _version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        from importlib.metadata import version

        print(f"cpd {version('cpd')}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Which settings satisfy my constraints, what do they cost, and how much tuning did it take?"""


def main() -> NoReturn:
    """The ``cpd`` command."""
    # Idle threads sleep: where several processes share the cores, waiting in a loop slows all of them down.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    settle()
    if "_CPD_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "10000"  # typer wraps what a word means, and a shell reads each line as another word
    debug = "--debug" in sys.argv[1:]
    words = read_targets([word for word in sys.argv[1:] if word != "--debug"])
    try:
        _check_folder()
        code = app(args=words, prog_name="cpd", standalone_mode=False)
        sys.stdout.flush()
    except CpdError as error:
        code = _report(error, debug)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        code = nobody_reads()
    except FileNotFoundError as error:
        code = _report(_of_the_folder(error), debug)
    except BaseException as error:
        code = _ended(error, words)
    sys.exit(code or 0)


def _check_folder() -> None:
    """See that the current folder is there: all paths start from it.

    Raises:
        CpdError: It was removed.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise CpdError("the current folder was removed", hint="go to another one, e.g. cd ~") from None


def _of_the_folder(error: FileNotFoundError) -> CpdError:
    """What a removed folder comes to; another missing file goes on as it is."""
    try:
        _check_folder()
    except CpdError as gone:
        return gone
    raise error


def read_targets(words: list[str]) -> list[str]:
    """Read ``--target-density 0.5`` as ``--target density=0.5``: constraints are named by the task, not by us."""
    read: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.removeprefix("--target-").partition("=")
        if not word.startswith("--target-") or not name:
            read.append(word)
        else:
            read += ["--target", f"{name}={value if equals else next(rest, '')}"]
    return read


def _report(error: CpdError, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exception(error)
    own = getattr(error, "traceback", None)
    if own:
        print(spelled_out(own.rstrip()), file=sys.stderr)
    say(f"cpd: {error}")
    return error.exit_code


def _ended(error: BaseException, words: Sequence[str]) -> int:
    """A wrong option or argument as typer reports it, an exit, or a request to stop; anything else goes on."""
    if isinstance(error, SystemExit) and closed(error):
        return nobody_reads()
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        return 2
    if hasattr(error, "format_message"):
        return _report(usage(error, words), debug=False)
    code = getattr(error, "exit_code", None)
    if code is None:
        raise error
    if isinstance(error, typer.Exit):
        return int(code)
    say(f"stopped ({error}); {getattr(error, 'kept', None) or 'nothing was kept, as --no-store asks'}")
    return int(code)
