"""The installed packages that a problem imports, for the record of a sweep."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version

from cpd.spec.imports import imports
from cpd.spec.models import Task


def imported_packages(task: Task) -> dict[str, str]:
    """Versions of the distributions that a task's problem and its local modules import, by name."""
    texts = [task.problem.source, *task.problem.modules.values()]
    names = {one.name.split(".")[0] for text in texts for one in imports(text)}
    own = {path.split("/")[0].split(".")[0] for path in task.problem.modules}
    return {package: version(package) for package in sorted(_distributions(names - own - sys.stdlib_module_names))}


def _distributions(names: Iterable[str]) -> set[str]:
    """What brings these top-level modules: ``sklearn`` comes with ``scikit-learn``."""
    same = {name for name in names if _brings(name)}
    others = set(names) - same
    # Reads the files of everything installed, a third of a second: only where a name alone does not tell.
    known = packages_distributions() if others else {}
    return same | {package for name in others for package in known.get(name, ())}


def _brings(name: str) -> bool:
    """Whether the distribution of a module's name has that module."""
    try:
        modules = distribution(name).read_text("top_level.txt")
    except PackageNotFoundError:
        return False
    return name in (modules or name).split()
