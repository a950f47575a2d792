"""Tasks whose training is anyone's program: a command with placeholders, or a plain function."""

from __future__ import annotations

import glob
import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cpd.errors import CpdError, closest
from cpd.spec.command import BRACES, LEVEL, OWN, names_in, parts_of, words_of
from cpd.spec.depends import read_depends
from cpd.spec.local_modules import local_modules
from cpd.spec.merged import Merged
from cpd.spec.models import ProblemSource, Program, Search, Train
from cpd.spec.searched import searched
from cpd.spec.source import is_function
from cpd.spec.validation import at_least, shown, word

COMMAND = "command"

CHECK_WITH = "check_with"

OF_PROBLEMS = ("train", "held_out")
"""Keys that say how a problem is trained: a program does so itself."""

OF_RESULTS = ("held_out", "model", "surrogate", "step", "multipliers")
"""Keys of what a program says of its run that stand for something else than a value."""

OF_PROGRAMS = ("timeout", "files", CHECK_WITH)
"""Keys that only a program has."""


def read_program(spec: Merged) -> Program | None:
    """``command`` and what belongs to it, or the marks of a plain function; None for a problem.

    Raises:
        CpdError: Keys of a problem and of a program at once, or a value that does not fit.
    """
    is_command = COMMAND in spec.raw
    if not is_command and not names_function(spec):
        _refuse(spec, OF_PROGRAMS, "is for a command, and there is none", "write command: python train.py")
        return None
    what = "a command" if is_command else "a plain function"
    if is_command:
        _refuse(spec, ("problem",), f"stands beside {what}", "keep one of the two")
    _refuse(spec, OF_PROBLEMS, f"is for a problem, and {what} trains as it likes", "leave it out")
    of_commands = () if is_command else ("files", CHECK_WITH)
    _refuse(spec, of_commands, "is for a command, and there is none", "leave it out")
    folder = spec.layers.folder(COMMAND if is_command else "problem").resolve()
    timeout = spec.raw.get("timeout")
    return Program(
        words=spec.checked(COMMAND, words_of) if is_command else (),
        folder=str(folder),
        timeout=None if timeout is None else spec.fitting("timeout", at_least(0, exclusive=True), timeout),
        files=_files(spec) if is_command else (),
        check_with=spec.mapping(CHECK_WITH),
    )


def names_function(spec: Merged) -> bool:
    """Whether ``problem`` names a plain function; of a name that comes from elsewhere, whether there is no recipe."""
    target = spec.raw.get("problem")
    if not isinstance(target, str):
        return False
    found = is_function(target, spec.layers.folder("problem"))
    return "train" not in spec.raw if found is None else found


def _refuse(spec: Merged, keys: Sequence[str], why: str, hint: str) -> None:
    for key in keys:
        if spec.raw.get(key) is not None:
            raise CpdError(f"'{key}' {why}", place=spec.at(key), hint=hint)


def no_recipe() -> Train:
    """The recipe of a program, which has none: nothing of it enters an id."""
    return Train(steps=1)


def command_source(spec: Merged, program: Program) -> ProblemSource:
    """What stands for the problem of a command: its text, its arguments, and the files that it depends on."""
    depends = spec.raw.get("depends")
    folder = Path(program.folder)
    found = read_depends(depends, spec.layers.folder("depends"), spec.at) if depends is not None else None
    return ProblemSource(
        target=shlex.join(program.words),
        path=None,
        source="",
        arguments=spec.mapping("arguments"),
        depends=dict(_hashed(program.words, folder, spec.at(COMMAND))) if found is None else found,
    )


def left_out(spec: Merged, program: Program) -> list[str]:
    """A note where ``depends`` leaves out files that the command names: their changes train nothing again."""
    if spec.raw.get("depends") is None or program.is_function:
        return []
    listed = read_depends(spec.raw["depends"], spec.layers.folder("depends"), spec.at)
    own = [name for name in named_files(program.words, Path(program.folder)) if name not in listed]
    if not own:
        return []
    return [f"depends leaves out {', '.join(own)}, which the command names: stored runs stay when it changes"]


def _hashed(words: Sequence[str], folder: Path, place: str) -> Iterator[tuple[str, str]]:
    """The files that a command names, and the local modules of those that are Python's, each with its SHA-256."""
    for name in named_files(words, folder):
        path = folder / name
        try:
            with path.open("rb") as file:
                yield name, hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            message = f"'{name}' cannot be read: {error.strerror}"
            raise CpdError(message, place=place, hint="check its permissions") from None
        if name.endswith(".py"):
            for module, text in _modules(path).items():
                yield f"{name}: {module}", hashlib.sha256(text.encode()).hexdigest()


def _modules(path: Path) -> dict[str, str]:
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    return local_modules(source, "", [path.parent])


def named_files(words: Sequence[str], folder: Path) -> list[str]:
    """The files of a folder that a command names, in words of their own, after ``=``, or as a module after ``-m``."""
    found: dict[str, None] = {}
    for k, one in enumerate(words):
        if not k and os.path.isabs(one):
            continue  # an interpreter, or another program of the machine's
        after_m = k > 0 and words[k - 1] == "-m"
        for name in _candidates(one, after_m):
            matches = glob.glob(name, root_dir=folder) if "*" in name else [name]
            found |= {_posix(match): None for match in sorted(matches) if _is_file(folder / match)}
    return list(found)


def _candidates(one: str, after_m: bool) -> Iterator[str]:
    """The paths that a word may be; a placeholder in one may stand for anything."""
    parts = parts_of(one)
    if any(part.name == "folder" for part in parts):
        return
    literal = "".join(part.text for part in parts)
    if any(part.name is not None for part in parts) and not {".", "/"} & set(literal):
        return
    text = "".join(glob.escape(part.text) if part.name is None else "*" for part in parts) if literal != one else one
    yield text
    if "=" in text:
        yield text.partition("=")[2]
    if after_m:
        base = text.replace(".", "/")
        yield from (f"{base}.py", f"{base}/__main__.py")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a word may be longer than any file's name
        return False


def _posix(name: str) -> str:
    return Path(os.path.normpath(name)).as_posix()


def _files(spec: Merged) -> tuple[str, ...]:
    """``files``, each there, written out."""
    raw = spec.raw.get("files")
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise CpdError(f"{shown(raw)} is not a list", place=spec.at("files"), hint="write [train.py, data.csv]")
    folder = spec.layers.folder("files")
    found: dict[str, None] = {}
    for number, entry in enumerate(raw):
        key = f"files[{number}]"
        name = spec.fitting(key, word, entry)
        matches = sorted(glob.glob(name, root_dir=folder, recursive=True))
        files = [match for match in matches if (folder / match).is_file()]
        inside = [f"{match}/**" for match in matches if (folder / match).is_dir()]
        files += [n for one in inside for n in sorted(glob.glob(one, root_dir=folder, recursive=True))]
        files = [one for one in files if (folder / one).is_file()]
        if not files:
            raise CpdError(f"'{name}' matches no file", place=spec.at(key), hint="its path starts at the spec's folder")
        if escaping := [one for one in files if _posix(one).startswith("..") or Path(one).is_absolute()]:
            hint = "files that travel are below the spec's folder"
            raise CpdError(f"'{escaping[0]}' is outside of the folder", place=spec.at(key), hint=hint)
        found |= {_posix(one): None for one in files}
    return tuple(found)


def check_program(spec: Merged, program: Program, constraints: Sequence[str], search: Search | None) -> None:
    """Check that every placeholder stands for something, and that everything a run has is taken by one.

    Args:
        spec: The whole of it.
        program: Its command; a function is given all there is.
        constraints: Names.
        search: Gives its hyperparameter a value where no method does.

    Raises:
        CpdError: One does not.
    """
    for key, name in [("objective", spec.raw.get("objective")), *((f"constraints.{one}", one) for one in constraints)]:
        if name in OF_RESULTS:
            raise CpdError(
                f"'{name}' means something else in a result", place=spec.at(key), hint="give it another name"
            )
    own = _hyperparameters(spec)
    if search is not None and (sought := searched(search, _by_method(spec))) is not None:
        own.setdefault(sought.name, "search.hyperparameter")
    keys = {**{name: f"arguments.{name}" for name in spec.mapping("arguments")}, **own}
    _refuse_taken(spec, own, keys)
    if program.is_function:
        return
    names = names_in(program.words)
    valid = [*keys, *OWN, *(f"{LEVEL}{name}" for name in constraints)]
    for name, whole in names.items():
        if name not in valid:
            raise _unknown(name, whole, valid, spec.at(COMMAND))
    for name, key in keys.items():
        if name not in names:
            message = f"the command has no {{{name}}}, so '{name}' would change nothing"
            raise CpdError(message, place=spec.at(key), hint=f"add it to the command, e.g. --{name} {{{name}}}")
    for name in program.check_with:
        if name not in names:
            place = spec.at(f"{CHECK_WITH}.{name}")
            raise CpdError(f"the command has no {{{name}}}", place=place, hint=closest(name, names))


def _by_method(spec: Merged) -> dict[str, list[str]]:
    """The hyperparameters of every method that the files have."""
    found: dict[str, list[str]] = {}
    for method, blocks in spec.mapping("methods").items():
        own = (block for block in (blocks if isinstance(blocks, list) else [blocks]) if isinstance(block, dict))
        found[str(method)] = list(dict.fromkeys(str(name) for block in own for name in block))
    return found


def _hyperparameters(spec: Merged) -> dict[str, str]:
    """All of them, with their dotted keys."""
    return {name: f"methods.{method}.{name}" for method, names in _by_method(spec).items() for name in names}


def _refuse_taken(spec: Merged, own: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Refuse names that mean something else already."""
    for name, key in keys.items():
        if name in OWN or name.startswith(LEVEL):
            raise CpdError(f"'{name}' is a name of cpd's own", place=spec.at(key), hint="give it another one")
        if name in own and name in spec.mapping("arguments"):
            raise CpdError(f"'{name}' is among the arguments too", place=spec.at(key), hint="keep one of the two")


def _unknown(name: str, whole: str, valid: Sequence[str], place: str) -> CpdError:
    if not name.strip() or any(sign in name for sign in "\"':, ") or name.startswith("$"):
        return CpdError(f"{{{name}}} in {shown(whole)} is no placeholder", place=place, hint=BRACES)
    return CpdError(f"no method has '{name}', which {shown(whole)} names", place=place, hint=closest(name, valid))
