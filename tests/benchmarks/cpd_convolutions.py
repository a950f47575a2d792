"""A sweep from Python: ``python cpd_convolutions.py SPEC [OPTION=VALUE ...]``, with everything that cpd needs loaded.

Prints as JSON the seconds of the sweep alone, of its workers' start included, and the loss of each run.
"""

from __future__ import annotations

import json
import sys
import time

import cpd.engine.train  # loaded before the clock starts
import cpd.run.execution  # noqa: F401
from cpd.run import commands
from cpd.run.options import Options


def main() -> None:
    words = dict(word.split("=") for word in sys.argv[2:])
    options = Options(keep=False, jobs=int(words["jobs"]) if "jobs" in words else None)
    began = time.perf_counter()
    result = commands.sweep(sys.argv[1], options=options)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "losses": [run.objective for run in result.finished]}))


if __name__ == "__main__":
    main()
