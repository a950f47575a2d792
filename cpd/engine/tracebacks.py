"""What the user's code raised, as text, and where it was reading when it did."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from cpd.errors import last_line

_INSIDE = (str(Path(__file__).parent), str(Path(torch.__file__).parent), "<frozen")
"""Where frames of a traceback are that say nothing about the user's code."""


class ItemRaised(Exception):
    """The user's code raised while it read an item or made a batch of items.

    Args:
        what: Which of them.
        text: The traceback, as text: it may have happened in another process.
    """

    def __init__(self, what: str, text: str) -> None:
        self.what = what
        self.text = text
        super().__init__(f"{what}: {last_line(text)}")

    def __reduce__(self) -> tuple[object, ...]:
        return (ItemRaised, (self.what, self.text))


def user_traceback(error: BaseException) -> str:
    """The traceback from the first frame of the user's own code on (all of it if there is none)."""
    if isinstance(error, ItemRaised):
        return error.text
    frames = traceback.extract_tb(error.__traceback__)
    own = [k for k, frame in enumerate(frames) if not frame.filename.startswith(_INSIDE)]
    kept = traceback.StackSummary.from_list(frames[own[0] :] if own else frames)
    lines = ["Traceback (most recent call last):\n", *kept.format(), *traceback.format_exception_only(error)]
    return "".join(lines)


def first_line(error: BaseException) -> str:
    """What an exception says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
