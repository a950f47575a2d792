"""The matrix of pictures, to be looked at: ``python -m tests.pictures --into FOLDER``.

Every kind at 1 to 50 constraints, 1 to 3 hyperparameters, 1 to 20 seeds and 1 to 1,000 settings, of made results:
nothing is trained. What overlaps or is cut is said, and the exit code is then 1. A page, ``index.html``, has them all.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Draw those whose names have a word in them; all without one."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from picture_boxes import faults

    from cpd.views.plots.draw import drawing, render
    from tests.pictures.matrix import matrix

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="a part of the names of those that are drawn")
    parser.add_argument(
        "--into", type=Path, default=Path("pictures"), help="folder of the pictures [default: pictures]"
    )
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    cases = [case for case in matrix() if all(word in str(case) for word in arguments.words)]
    wrong = 0
    for case in cases:
        start = time.perf_counter()
        document, curves = case.made()
        draw = drawing(case.kind, document, curves, case.wishes)
        kept: list[Any] = []

        def keep(figure: Any, draw: Any = draw, kept: list[Any] = kept) -> None:
            draw(figure)
            kept.append(figure)

        made = time.perf_counter()
        content = render(keep, ".png", case.style)
        (arguments.into / f"{case}.png").write_bytes(content)
        drawn = time.perf_counter()
        found = faults(kept[0])
        wrong += bool(found)
        size = " by ".join(f"{inches:.1f}" for inches in kept[0].get_size_inches())
        print(
            f"{case}: {len(content) // 1000} kB, {size} in, data {made - start:.1f} s, drawn {drawn - made:.1f} s",
            flush=True,
        )
        for fault in dict.fromkeys(found[:8]):
            print(f"    {fault}")
    images = "\n".join(f'<h2>{case}</h2><img src="{case}.png" style="max-width: 60em">' for case in cases)
    (arguments.into / "index.html").write_text(images, encoding="utf-8")
    print(f"{len(cases)} pictures, {wrong} with faults", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
