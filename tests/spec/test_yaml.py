"""The strict YAML loader: what it reads as what, and the whole message of everything it refuses."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wording import THEIRS, ours

from cpd.errors import CpdError
from cpd.spec.yaml import MAX_BYTES, load_yaml, parse_value, parse_yaml

LOOK = "check indentation, brackets and quotes from there upwards"
MAPPING = "write keys and values, e.g. problem: package.module:Class"


def refusal(text: str) -> str:
    with pytest.raises(CpdError) as caught:
        parse_yaml(text, "x.yaml")
    return str(caught.value)


def load_refusal(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(CpdError) as caught:
        load_yaml(path, "x.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("1e3", 1000.0),
        ("1.0e3", 1000.0),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("1e", "1e"),
        ("2024-01-01", "2024-01-01"),
        ("nan", "nan"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1e-3'", "1e-3"),
        ('"true"', "true"),
        ("[1, 1.0, [x]]", [1, 1.0, ["x"]]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_a_value_means_what_a_person_means(text: str, value: Any) -> None:
    read = parse_yaml(f"key: {text}", "x.yaml")["key"]
    assert read == value
    assert type(read) is type(value)
    assert parse_value(text, "--set key") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"x.yaml: is empty, a mapping was expected; {MAPPING}"),
        ("# nothing\n", f"x.yaml: is empty, a mapping was expected; {MAPPING}"),
        ("---\n", f"x.yaml: is empty, a mapping was expected; {MAPPING}"),
        ("- 1\n", f"x.yaml:1:1: a mapping was expected, not a list; {MAPPING}"),
        ("\nsome text\n", f"x.yaml:2:1: a mapping was expected, not 'some text'; {MAPPING}"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2:1: a second document starts; keep one, remove the line '---'"),
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: the key 'a' is on line 1 and again on line 3; keep one of them"),
        ("a:\n  {b: 1,\n   b: 2}", "x.yaml:3:4: the key 'b' is on line 2 and again on line 3; keep one of them"),
        ("'a': 1\na: 2", "x.yaml:2:1: the key 'a' is on line 1 and again on line 2; keep one of them"),
        ("a: &x 1\nb: *x", "x.yaml:1:4: anchors and aliases (&x) are not allowed; write the value out"),
        ("a: [*x]", "x.yaml:1:5: anchors and aliases (*x) are not allowed; write the value out"),
        ("a: &x [*x]", "x.yaml:1:4: anchors and aliases (&x) are not allowed; write the value out"),
        ("a:\n  <<: {b: 1}", "x.yaml:2:3: merge keys (<<) are not allowed; write the keys out"),
        ("a: !!python/none ''", "x.yaml:1:4: tags (!!python/none) are not allowed; write a plain value"),
        ("a: !!int '1'", "x.yaml:1:4: tags (!!int) are not allowed; write a plain value"),
        ("a: !mine {}", "x.yaml:1:4: tags (!mine) are not allowed; write a plain value"),
        ("1: x", "x.yaml:1:1: a key must be a word, not 1; put it in quotes if it is a name"),
        ("true: x", "x.yaml:1:1: a key must be a word, not true; put it in quotes if it is a name"),
        ("? \n: x", "x.yaml:1:2: a key must be a word, but there is none; put it in quotes if it is a name"),
        ("[a]: x", "x.yaml:1:1: a key must be a word, not a list or mapping; write name: value"),
        ("a: 1e400", "x.yaml: a: 1e400 is not a finite number; write a number like 0.5 or 1e-3"),
        ("a: {b: [1, .nan]}", "x.yaml: a.b: .nan is not a finite number; write a number like 0.5 or 1e-3"),
        ("a: -.Inf", "x.yaml: a: -.Inf is not a finite number; write a number like 0.5 or 1e-3"),
        (
            "a: " + "9" * 5000,
            f"x.yaml: a: {'9' * 57}... is not a finite number; write a number like 0.5 or 1e-3",
        ),
        ('a: "\\UFFFFFFFF"', "x.yaml:1:7: a number is out of range; check the escapes in quotes"),
        ('a: "\\ud800"', "x.yaml:1:4: the character U+D800 is not allowed; remove its escape"),
        ('a: "\\0"', "x.yaml:1:4: the character U+0000 is not allowed; remove its escape"),
        ("a: 1\nb: x\x00y", "x.yaml:2:5: the character U+0000 is not allowed; remove it"),
        ("a: \x1b[31m", "x.yaml:1:4: the character U+001B is not allowed; remove it"),
        ("[" * 100_000, "x.yaml:1:51: nested deeper than 50 levels; flatten it"),
        ("{a: " * 100_000, "x.yaml:1:198: nested deeper than 50 levels; flatten it"),
        ("\n".join(" " * k + "a:" for k in range(60)), "x.yaml:50:50: nested deeper than 50 levels; flatten it"),
        (
            "a:\n\t- 1\n",
            f"x.yaml:2:1: not valid YAML: {THEIRS}; indent with spaces, not tabs",
        ),
        (
            "a: [1\nb: 2\n",
            f"x.yaml:2:2: not valid YAML: {THEIRS}; " + LOOK,
        ),
        ("a: 1\n  b: 2\n", f"x.yaml:2:4: not valid YAML: {THEIRS}; " + LOOK),
        (
            "%YAML 3.0\n---\na: 1",
            f"x.yaml:1:1: not valid YAML: {THEIRS}; " + LOOK,
        ),
    ],
)
def test_the_loader_refuses(text: str, message: str) -> None:
    assert ours(refusal(text), message) == message


def test_fifty_levels_are_not_too_deep() -> None:
    value = parse_yaml("a: " + "[" * 48 + "1" + "]" * 48, "x.yaml")["a"]
    for _ in range(48):
        (value,) = value
    assert value == 1


def test_a_billion_laughs_stay_unread() -> None:
    lines = ["a0: &a0 [lol, lol]", *(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 40))]
    assert refusal("\n".join(lines)) == ("x.yaml:1:5: anchors and aliases (&a0) are not allowed; write the value out")


def test_a_tag_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    message = refusal(f"a: !!python/object/apply:pathlib.Path.touch [{canary}]")
    assert message == (
        "x.yaml:1:4: tags (!!python/object/apply:pathlib.Path.touch) are not allowed; write a plain value"
    )
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: caf\xe9\n", "x.yaml:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "x.yaml:1:1: is UTF-16, not UTF-8; save the file as UTF-8"),
        (b"a: 1\nb: \0\n", "x.yaml:2:4: the character U+0000 is not allowed; remove it"),
        (
            b"a: " + b"1" * MAX_BYTES,
            "x.yaml: is larger than 1 MB; write long grids as {min, max, num, scale}",
        ),
    ],
)
def test_a_file_that_is_no_text_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    assert load_refusal(content, tmp_path / "x.yaml") == message


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9\n")
    assert load_yaml(path, "x.yaml") == ({"a": "é"}, "a: é\n")


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CpdError) as missing:
        load_yaml(tmp_path / "x.yaml", "x.yaml")
    assert str(missing.value) == "x.yaml: no such file; check the path; cpd tasks lists the bundled ones"
    with pytest.raises(CpdError) as folder:
        load_yaml(tmp_path, "x.yaml")
    assert str(folder.value) == "x.yaml: is a folder; name a YAML file in it"
    (tmp_path / "file").touch()
    with pytest.raises(CpdError) as inside:
        load_yaml(tmp_path / "file" / "x.yaml", "x.yaml")
    assert str(inside.value) == "x.yaml: cannot be read: Not a directory; check the path and its permissions"
    with pytest.raises(CpdError) as null:
        load_yaml(tmp_path / "a\0b", "x.yaml")
    assert str(null.value) == "x.yaml: cannot be read: embedded null byte; check the path and its permissions"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[1, 2",
            f"--set x: not valid YAML: {THEIRS}; " + LOOK,
        ),
        ("[*x]", "--set x: anchors and aliases (*x) are not allowed; write the value out"),
        ("{a: 1, a: 2}", "--set x: the key 'a' is on line 1 and again on line 1; keep one of them"),
        (".inf", "--set x: .inf is not a finite number; write a number like 0.5 or 1e-3"),
        ("[.inf]", "--set x: .inf is not a finite number; write a number like 0.5 or 1e-3"),
    ],
)
def test_a_value_of_the_command_line_is_as_strict(text: str, message: str) -> None:
    with pytest.raises(CpdError) as caught:
        parse_value(text, "--set x")
    assert ours(str(caught.value), message) == message


def plain(value: Any, depth: int = 0) -> bool:
    """Whether a value is what a spec may hold: finite, storable, keyed by words."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(key) and plain(entry, depth + 1) for key, entry in value.items())
    if isinstance(value, list):
        return all(plain(entry, depth + 1) for entry in value)
    if isinstance(value, str):
        return "\0" not in value and value.encode("utf-8").decode("utf-8") == value
    return value is None or (isinstance(value, bool | int | float) and math.isfinite(value))


def outcome(path: Path) -> dict[str, Any] | CpdError:
    try:
        return load_yaml(path, "x.yaml")[0]
    except CpdError as error:
        return error


def check_outcome(content: bytes, folder: Path) -> None:
    """Whatever a file holds, it gives a plain mapping or one line with a place and a hint."""
    path = folder / "any.yaml"
    path.write_bytes(content)
    found = outcome(path)
    if isinstance(found, CpdError):
        assert str(found).startswith("x.yaml:")
        assert found.hint
        assert "\n" not in str(found)
    else:
        assert isinstance(found, dict)
        assert plain(found)


SIGNS = st.sampled_from("[]{}:,-?&*!|>'\"%@`#~\\ \n\t\r01ae.\ufeff\x85\u2028")
WORDS = st.sampled_from(
    ["a: ", "\n  b: ", "- ", "\n---\n", "\n...\n", "%YAML 1.1\n", "!!str ", "!<x> ", '"\\x', '"\\U', "FFFFFFFF", "<<: "]
)
NUMBERS = st.sampled_from(["1e9", "1e999", "0x", ".inf", "1_0", "1:2"])
PIECES = st.one_of(SIGNS, WORDS, NUMBERS)


@pytest.mark.slow
@settings(max_examples=1000)
@given(text=st.one_of(st.text(), st.lists(PIECES, max_size=20).map("".join)))
def test_any_text_is_a_mapping_or_one_clear_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    check_outcome(text.encode(), tmp_path_factory.getbasetemp())


@settings(max_examples=300)
@given(content=st.binary())
def test_any_bytes_are_a_mapping_or_one_clear_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    check_outcome(content, tmp_path_factory.getbasetemp())
