"""The installed packages that a problem imports, for the record of a sweep."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions, version

from cpd.spec.imports import imports
from cpd.spec.models import Task


def imported_packages(task: Task) -> dict[str, str]:
    """Versions of the distributions that a task's problem and its local modules import, by name."""
    texts = [task.problem.source, *task.problem.modules.values()]
    names = {one.name.split(".")[0] for text in texts for one in imports(text)}
    own = {path.split("/")[0].split(".")[0] for path in task.problem.modules}
    known = packages_distributions()
    wanted = {package for name in names - own - sys.stdlib_module_names for package in known.get(name, ())}
    return {package: version(package) for package in sorted(wanted)}
