"""What two texts of a problem define otherwise of what judging a model reaches."""

import pytest

from cpd.spec.definitions import definition, redefined
from cpd.spec.models import ProblemSource

TEXT = '''\
"""A problem."""
import torch
import shapes
from torch.nn import functional as F

LEVEL = 0.5


def shifted(x):
    return x - LEVEL


def unused(x):
    return x


class Base:
    def cut(self, x):
        return shifted(x)

    def evaluate(self, model, batch):
        return None


class Mine(Base):
    """Mine."""

    times = 2

    def __init__(self, size=3):
        self.size = size

    def data(self):
        return unused(1)

    def held_out(self):
        return shapes.drawn()

    def model(self):
        return torch.nn.Linear(self.size, 1)

    def evaluate(self, model, batch):
        # The loss.
        return F.relu(self.cut(model(batch.data))) * self.times
'''


def source(text: str, shapes: str = "def drawn(): return 1\n") -> ProblemSource:
    return ProblemSource(target="mine.py:Mine", path=None, source=text, modules={"shapes.py": shapes})


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("# The loss.", "# Another word.", []),
        ('"""Mine."""', '"""Another text."""', []),
        ("unused(1)", "unused(2)", []),
        ("return x\n", "return x + 1\n", []),
        ("shapes.drawn()", "shapes.drawn(), 1", []),
        ("return F.relu", "return F.elu", ["evaluate()"]),
        ("x - LEVEL", "x + LEVEL", ["shifted"]),
        ("LEVEL = 0.5", "LEVEL = 0.6", ["LEVEL"]),
        ("return shifted(x)", "return shifted(2 * x)", ["cut()"]),
        ("times = 2", "times = 3", ["times"]),
        ("self.size, 1", "self.size, 2", ["model()"]),
        ("size=3", "size=4", ["__init__()"]),
        ("from torch.nn import functional", "from mine import functional", ["F"]),
        (
            "    def evaluate(self, model, batch):\n        #",
            "    def measure(self, model, batch):\n        #",
            ["evaluate()", "measure()"],
        ),
    ],
)
def test_what_changed_is_named(old: str, new: str, names: list[str]) -> None:
    assert TEXT.count(old) == 1
    before, after = source(TEXT), source(TEXT.replace(old, new))
    found = redefined(before, after)
    assert found == names
    assert (definition(before) == definition(after)) == (found == [])


def test_a_module_counts_where_what_is_reached_imports_it() -> None:
    assert redefined(source(TEXT), source(TEXT, "def drawn(): return 2\n")) == []
    used = TEXT.replace("self.cut(", "shapes.cut(")
    assert redefined(source(used), source(used, "def drawn(): return 2  # two\n")) == ["shapes.py"]
    assert redefined(source(used), source(used, "def drawn(): return 1  # one\n")) == []


def test_a_text_that_is_no_python_is_compared_as_it_is() -> None:
    assert redefined(source("class Mine(:"), source("class Mine(:")) == []
    assert redefined(source("class Mine(:"), source("class Mine(::")) == ["the file"]
