"""Several sweeps in one table."""

from cpd.views.tables.beside import shown


def test_letters_go_on_after_z() -> None:
    document = {"task": "t", "objective": "f", "constraints": {}, "runs": []}
    found = [one.label for one in shown({str(k): document for k in range(29)})]  # type: ignore[misc]
    assert found[:2] + found[24:] == ["A", "B", "Y", "Z", "AA", "AB", "AC"]
