"""Our part of a message: what a library or the system says within it changes with their versions."""

import re

THEIRS = "<theirs>"


def ours(said: str, expected: str) -> str:
    """Return the expected message where it was said, with anything on one line in place of :data:`THEIRS`.

    ``assert ours(said, expected) == expected`` then shows both where it was not.
    """
    pattern = ".+".join(map(re.escape, expected.split(THEIRS)))
    return expected if re.fullmatch(pattern, said) else said
