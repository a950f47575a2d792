"""Pictures, pages and tables are checked and written in one way."""

import os
from pathlib import Path

import pytest

from cpd.errors import CpdError
from cpd.views.output import check_output, write_output

SUFFIXES = (".csv", ".json")


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.b.Csv"])
def test_a_suffix_may_be_in_capitals(name: str, tmp_path: Path) -> None:
    assert check_output(tmp_path / name, SUFFIXES) == ".csv"


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("a.cvs", "--to", "--to a.cvs: cannot write '.cvs' files; did you mean '.csv'? Valid: .csv, .json"),
        ("a", "--plot", "--plot a: cannot write '' files; valid: .csv, .json"),
        ("no/a.csv", "--to", "--to no/a.csv: no folder 'no'; make it, or choose another place"),
    ],
)
def test_what_cannot_be_written_is_said_before_any_work(name: str, option: str, message: str) -> None:
    with pytest.raises(CpdError) as caught:
        check_output(Path(name), SUFFIXES, option)
    assert str(caught.value) == message


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_output(tmp_path / "a.csv", "x\n")
    write_output(tmp_path / "a.csv", b"y\n")
    assert (tmp_path / "a.csv").read_text() == "y\n"
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(CpdError) as caught:
        write_output(tmp_path / "folder.csv", "x\n")
    place = f"{tmp_path / 'folder.csv'}: cannot be written: "
    assert str(caught.value).startswith(place)
    assert str(caught.value).endswith("; choose another place")
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "folder.csv"]
