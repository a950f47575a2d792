"""Golden files: what was printed once, read by a person, and must be printed again.

``CPD_REMAKE_GOLDEN=1 python -m pytest tests/...`` writes them anew; ``git diff`` then shows what has changed.
"""

import os

from commands import TESTS

FOLDER = TESTS / "golden"


def golden(name: str, text: str) -> None:
    """Hold a text against ``tests/golden/NAME``, or make it that file's content where the switch is on."""
    path = FOLDER / name
    if os.environ.get("CPD_REMAKE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    assert path.exists(), f"no golden file {name}; make it with CPD_REMAKE_GOLDEN=1, and read it"
    assert text == path.read_text(encoding="utf-8"), f"not what {name} holds; CPD_REMAKE_GOLDEN=1 remakes it"
