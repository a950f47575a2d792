"""Trees of tensors with named leaves: cut, saved and loaded in one way."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from cpd.engine.tree import Misfit, Part, leaves, load, mapped, named, refilled, save, take


class Pair(NamedTuple):
    """A node with names of its own."""

    left: Any
    right: Any


def rows(first: int, last: int, *shape: int) -> Tensor:
    return torch.arange(first, last, dtype=torch.float64).view(-1, *[1] * len(shape)).expand(-1, *shape).clone()


def tree() -> dict[str, Any]:
    return {
        "whole": Pair(rows(0, 4), {"a.b": rows(0, 4, 2)}),
        "parts": (Part(0, 3, Pair(rows(0, 3, 2), rows(0, 3))), Part(3, 1, {"only": rows(3, 4)})),
        "shared": torch.tensor(7.0),
        "word": "not a tensor",
    }


NAMES = ["whole/left", "whole/right/a.b", "parts/0/left", "parts/0/right", "parts/1/only", "shared", "word"]


def test_every_leaf_has_a_name() -> None:
    assert [name for name, _ in named(tree())] == NAMES


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [1, 3], [2], [3], [0, 0], [0, 1, 2]])
def test_rows_are_cut_everywhere_alike(chosen: list[int]) -> None:
    cut = take(tree(), chosen)
    found: dict[str, list[float]] = {}
    for name, leaf in named(cut):
        if name.startswith(("whole", "parts")):
            place = name.partition("/")[0] if name.startswith("parts") else name
            first = leaf.reshape(len(leaf), -1)[:, 0].tolist()
            found.setdefault(place + name[-4:], []).extend(first)
    assert found["whole/leftleft"] == found["whole/right/a.b/a.b"] == chosen
    assert sorted(found.get("parts/left", found.get("partsleft", [])) + found.get("partsonly", [])) == sorted(chosen)
    assert cut["shared"] == 7
    assert cut["word"] == "not a tensor"


def test_parts_that_lose_all_rows_are_gone_and_the_others_know_where_they_stand() -> None:
    assert [(part.first, part.rows) for part in take(tree(), [1, 3])["parts"]] == [(0, 1), (1, 1)]
    assert [(part.first, part.rows) for part in take(tree(), [3])["parts"]] == [(0, 1)]
    assert [(part.first, part.rows) for part in take(tree(), [0, 2])["parts"]] == [(0, 2)]


def test_a_cut_shares_no_memory() -> None:
    whole = tree()
    take(whole, [0, 1])["whole"].left.zero_()
    assert whole["whole"].left.tolist() == [0, 1, 2, 3]


def test_what_was_saved_is_loaded_by_name() -> None:
    whole = tree()
    saved = save(whole)
    assert list(saved) == NAMES[:-1]
    other = mapped(lambda leaf: leaf * 0 if isinstance(leaf, Tensor) else leaf, whole)
    back = load(other, dict(reversed(saved.items())))
    assert all(
        torch.equal(one, two) if isinstance(one, Tensor) else one == two
        for one, two in zip(leaves(back), leaves(whole), strict=True)
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shared": None}, "shared in one of the two only"),
        ({"more": torch.zeros(1)}, "more in one of the two only"),
        ({"shared": torch.zeros(2, dtype=torch.float32)}, r"shared is torch.float32 \[2\]"),
        ({"shared": torch.tensor(7)}, r"shared is torch.int64 \[\]"),
    ],
)
def test_what_is_of_another_tree_is_refused(changed: dict[str, Any], message: str) -> None:
    saved = {name: leaf for name, leaf in {**save(tree()), **changed}.items() if leaf is not None}
    with pytest.raises(Misfit, match=f"^{message}$"):
        load(tree(), saved)


def test_leaves_go_back_in_their_order() -> None:
    assert leaves(refilled(tree(), range(len(NAMES)))) == list(range(len(NAMES)))
