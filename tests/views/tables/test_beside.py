"""Several sweeps in one table."""

import pytest
from sample_documents import figure2

from cpd.views.tables.beside import beside_section, shown
from cpd.views.tables.laid_out import print_laid_out
from cpd.views.tables.shape import Shape, shaped


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_that_no_row_is_so_is_said(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps = shown({"1": figure2(), "2": figure2()})
    without = beside_section(sweeps)
    facts = [type(own)(own.feasible, False, own.failed, own.rank, own.notes) for own in without.facts]
    print_laid_out([shaped(type(without)(**{**vars(without), "facts": facts}), Shape(only="useful"))], form)
    assert "none of the 80 rows is useful" in capsys.readouterr().out


def test_letters_go_on_after_z() -> None:
    document = {"task": "t", "objective": "f", "constraints": {}, "runs": []}
    found = [one.label for one in shown({str(k): document for k in range(29)})]  # type: ignore[misc]
    assert found[:2] + found[24:] == ["A", "B", "Y", "Z", "AA", "AB", "AC"]
