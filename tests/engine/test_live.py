"""Problems that no module has: known again by what they are made of, and copied with nothing shared."""

import itertools
import linecache
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch

import cpd
from cpd.engine.live import problem_source, source_notes
from cpd.engine.live_copy import packed, unpacked

COUNT = itertools.count()

LINE = """
import torch, cpd
class Line(cpd.Problem):
    def model(self):
        return torch.nn.Linear(1, 1)
    def evaluate(self, model, batch):
        return cpd.Evaluation(used(), constraints={})
"""


def cell(text: str, names: dict[str, Any] | None = None, known: bool = True) -> dict[str, Any]:
    """Run a text as a notebook runs a cell: in ``__main__``, its lines remembered under a name of its own."""
    names = {"__name__": "__main__"} if names is None else names
    text, file = dedent(text), f"<ipython-input-{next(COUNT)}>"
    if known:
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec", dont_inherit=True), names)
    return names


def told(text: str, **how: Any) -> str:
    return problem_source(cell(text, **how)["Line"]).source


USES = {
    "a function": ("def used(): return torch.ones(1)", "def used(): return torch.zeros(1)"),
    "a function of a function": (
        "def used(): return other()\ndef other(): return 1",
        "def used(): return other()\ndef other(): return 2",
    ),
    "a number": ("N = 1\ndef used(): return N", "N = 2\ndef used(): return N"),
    "a number's type": ("N = 1\ndef used(): return N", "N = 1.0\ndef used(): return N"),
    "a tensor": ("T = torch.ones(9)\ndef used(): return T", "T = torch.ones(9); T[5] = 2\ndef used(): return T"),
    "a tensor's type": ("T = torch.zeros(2)\ndef used(): return T", "T = torch.zeros(2).int()\ndef used(): return T"),
    "a tensor's shape": ("T = torch.zeros(4)\ndef used(): return T", "T = torch.zeros(2, 2)\ndef used(): return T"),
    "an array": (
        "import numpy as np\nA = np.zeros(900)\ndef used(): return A",
        "import numpy as np\nA = np.zeros(900); A[700] = 1\ndef used(): return A",
    ),
    "a lambda": ("used = lambda: 1", "used = lambda: 2"),
    "one lambda of a line": ("a, used = (lambda: 1), (lambda: 2)", "used, a = (lambda: 1), (lambda: 2)"),
    "one lambda of a statement": (
        "fs = [lambda: 1, lambda: 2]; used = fs[N] if (N := 0) else fs[0]",
        "fs = [lambda: 1, lambda: 2]; used = fs[1] if (N := 0) else fs[1]",
    ),
    "a closure": (
        "def make(n):\n    def used(): return n\n    return used\nused = make(SIZE) if (SIZE := 1) else None",
        "def make(n):\n    def used(): return n\n    return used\nused = make(SIZE) if (SIZE := 2) else None",
    ),
    "a default": ("def used(n=globals().get('N', 1)): return n", "N = 5\ndef used(n=globals().get('N', 1)): return n"),
    "a keyword's default": ("M = 1\ndef used(*, n=M): return n", "M = 2\ndef used(*, n=M): return n"),
    "a partial": (
        "import functools\nused = functools.partial(max, 1, 2)",
        "import functools\nused = functools.partial(max, 1, 3)",
    ),
    "a remembering function": (
        "import functools\n@functools.cache\ndef used(): return 1",
        "import functools\n@functools.cache\ndef used(): return 2",
    ),
    "a dict of lambdas": (
        "D = {'a': lambda: 1}\ndef used(): return D['a']()",
        "D = {'a': lambda: 2}\ndef used(): return D['a']()",
    ),
    "an object": (
        "class Config:\n    pass\nc = Config(); c.lr = 1\ndef used(): return c.lr",
        "class Config:\n    pass\nc = Config(); c.lr = 2\ndef used(): return c.lr",
    ),
    "an object's method": (
        "class Config:\n    def lr(self): return 1\nc = Config()\ndef used(): return c.lr()",
        "class Config:\n    def lr(self): return 2\nc = Config()\ndef used(): return c.lr()",
    ),
    "a callable object": (
        "class F:\n    def __call__(self): return 1\nused = F()",
        "class F:\n    def __call__(self): return 2\nused = F()",
    ),
    "a module with weights": (
        "net = torch.nn.Linear(1, 1); net.weight.data.fill_(1); net.bias.data.fill_(0)\ndef used(): return net",
        "net = torch.nn.Linear(1, 1); net.weight.data.fill_(2); net.bias.data.fill_(0)\ndef used(): return net",
    ),
    "an enum": (
        "import enum\nclass E(enum.Enum):\n    A = 1\ndef used(): return E.A",
        "import enum\nclass E(enum.Enum):\n    A = 2\ndef used(): return E.A",
    ),
    "a set": ("S = {'a', 'b', 'c'}\ndef used(): return S", "S = {'a', 'b', 'd'}\ndef used(): return S"),
    "a generator of numbers": (
        "g = torch.Generator().manual_seed(1)\ndef used(): return g",
        "g = torch.Generator().manual_seed(2)\ndef used(): return g",
    ),
    "a bound method": (
        "import random\nused = random.Random(1).random",
        "import random\nused = random.Random(2).random",
    ),
    "a comment": ("# first\ndef used(): return 1  # first", "# first\ndef used(): return 1  # second"),
}


@pytest.mark.parametrize("name", USES)
def test_what_a_class_uses_is_part_of_its_id(name: str) -> None:
    first, second = (f"import torch, cpd\n{text}\n{LINE}" for text in USES[name])
    assert told(first) == told(first)
    assert told(first) != told(second)


CLASSES = {
    "a method": ("def extra(self): return 1", "def extra(self): return 2"),
    "an attribute": ("size = 1", "size = 2"),
    "an attribute's value": ("size = N", "size = N + 1"),
    "a property": ("p = property(lambda self: 1)", "p = property(lambda self: 2)"),
    "a static method": ("@staticmethod\n    def f(): return N", "@staticmethod\n    def f(): return N + 0"),
    "a class within": ("class Inner:\n        x = 1", "class Inner:\n        x = 2"),
    "an import within": ("def f(self):\n        import math", "def f(self):\n        import cmath"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_class_has_is_part_of_its_id(name: str) -> None:
    first, second = (f"N = 1\n{LINE}    {text}\n" for text in CLASSES[name])
    assert told(first) == told(first)
    assert told(first) != told(second)


def test_a_global_that_changes_gives_another_id_and_back() -> None:
    names = cell(f"N = 1\ndef used(): return N\n{LINE}")
    first = problem_source(names["Line"]).source
    names["N"] = 2
    second = problem_source(names["Line"]).source
    names["N"], names["unused"] = 1, 3
    assert first != second
    assert problem_source(names["Line"]).source == first


def test_bases_and_decorators_and_fields_are_part_of_an_id() -> None:
    base = "import torch, cpd\nclass Base(cpd.Problem):\n    def f(self): return {}\nclass Middle(Base):\n    pass\n"
    assert told(f"{base.format(1)}class Line(Middle):\n    pass") != told(
        f"{base.format(2)}class Line(Middle):\n    pass"
    )
    decorated = "import cpd\ndef d(c):\n    c.x = {}\n    return c\n@d\nclass Line(cpd.Problem):\n    pass"
    assert told(decorated.format(1)) != told(decorated.format(2))
    fields = (
        "import cpd\nfrom dataclasses import dataclass\nN = {}\n@dataclass\nclass Line(cpd.Problem):\n    x: int = N\n"
    )
    assert told(fields.format(1)) == told(fields.format(1))
    assert told(fields.format(1)) != told(fields.format(2))


def test_a_class_that_is_written_over_is_known_by_what_it_is_now() -> None:
    names = cell(f"def used(): return 1\n{LINE}")
    first = problem_source(names["Line"]).source
    cell("def evaluate(self, model, batch): return 5\nLine.evaluate = evaluate", names)
    assert problem_source(names["Line"]).source != first


def test_a_class_without_source_is_known_by_its_bytecode() -> None:
    text = f"def used(): return 1\n{LINE}"
    names = cell(text, known=False)
    first = problem_source(names["Line"])
    (note,) = source_notes(names["Line"])
    assert "bytecode" in note
    assert "Line.evaluate" in note
    for _ in range(3000):  # Python specialises what runs often
        names["used"]()
    assert problem_source(names["Line"]).source == first.source == told(text, known=False)
    assert told(text.replace("return 1", "return 2"), known=False) != first.source
    assert not source_notes(cell(text)["Line"])


def test_a_text_that_is_not_what_runs_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    text = f"def used(): return 1\n{LINE}"
    file.write_text(text)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, str(file), "exec", dont_inherit=True), names)
    before = problem_source(names["Line"]).source
    assert "return 1" in before
    file.write_text(text.replace("return 1", "return 2"))
    linecache.checkcache(str(file))
    after = problem_source(names["Line"]).source
    assert "return 2" not in after  # what runs still returns 1
    again: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), again)
    assert "return 2" in problem_source(again["Line"]).source


def test_an_object_is_known_by_its_class_and_its_state() -> None:
    names = cell(f"def used(): return 1\n{LINE}")

    def of(**state: Any) -> str:
        given = names["Line"]()
        vars(given).update(state)
        return problem_source(given).source

    assert of(x=1) == of(x=1)
    assert len({of(), of(x=1), of(x=2), of(x=torch.ones(3)), of(x=torch.ones(4)), of(y=1)}) == 6
    with pytest.raises(cpd.CpdError, match=r"self\.lock is a lock"):
        of(lock=__import__("threading").Lock())
    with pytest.raises(cpd.CpdError, match=r"self\.x\.numbers is a generator"):
        of(x={"numbers": (n for n in range(3))})


def test_the_local_modules_that_a_cell_imports_are_part_of_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "losses_of_mine.py").write_text("from more_of_mine import N\ndef loss(): return N\n")
    (tmp_path / "more_of_mine.py").write_text("N = 1\n")
    found = problem_source(cell(f"from losses_of_mine import loss\ndef used(): return loss()\n{LINE}")["Line"])
    assert sorted(found.modules) == ["losses_of_mine.py", "more_of_mine.py"]
    for name in ("losses_of_mine", "more_of_mine"):
        sys.modules.pop(name, None)


def test_a_copy_shares_nothing_with_what_it_is_a_copy_of() -> None:
    names = cell(
        """
        import functools, cpd
        calls = []
        @functools.lru_cache(maxsize=3)
        def remembered(x): return x + OFFSET
        OFFSET = 1
        class Base(cpd.Problem):
            seen = {}
            def f(self): return len(calls) + remembered(1)
        class Line(Base):
            def f(self):
                calls.append(1)
                return super().f()
        """
    )
    copy = unpacked(packed(names["Line"], set()), "a_copy", {})
    assert copy is not names["Line"]
    assert issubclass(copy, cpd.Problem)
    assert copy().f() == 3
    assert names["calls"] == []
    names["OFFSET"] = 5
    assert copy().f() == 4
    copy.seen["x"] = 1
    assert names["Line"].seen == {}
    assert names["Line"]().f() == 7  # not written over by its copy
    assert sys.modules[copy.__module__].__dict__["calls"] == [1, 1]


def test_the_type_of_numbers_that_a_program_chose_is_part_of_an_id_and_travels() -> None:
    names = cell(f"def used(): return 1\n{LINE}")
    before, content = problem_source(names["Line"]).source, packed(names["Line"], set())
    torch.set_default_dtype(torch.float64)
    try:
        assert problem_source(names["Line"]).source != before
        unpacked(content, "another_copy", {})
        assert torch.get_default_dtype() is torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_is_no_problem_is_refused() -> None:
    for given in (int, 3, lambda: 3, cpd.Problem):
        with pytest.raises(cpd.CpdError, match="problem"):
            problem_source(given)
