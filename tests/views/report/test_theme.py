"""The report's colours: what is read and what is seen stands out from what is behind it, light and dark."""

import re
from importlib import resources
from itertools import combinations, product

import pytest

from cpd.views.report.panels import line_of
from cpd.views.report.theme import DARK, LIGHT, SERIES, theme_css

READ, SEEN = 4.5, 3.0
"""The least contrast of text, and of what is no text: WCAG 2.2, 1.4.3 and 1.4.11."""

TEXTS = ("ink", "faint", "good", "bad", "accent")
GRAPHICS = ("control", "front", *(f"c{k}" for k in range(SERIES)))


def luminance(color: str) -> float:
    """The relative luminance of ``#rrggbb``: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(color: str, behind: str, opacity: float) -> str:
    """A colour that is laid over another."""
    pairs = [(int(color[k : k + 2], 16), int(behind[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(opacity * a + (1 - opacity) * b):02x}" for a, b in pairs)


def test_contrast_is_as_the_standard_has_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_all_that_matters_stands_out(colors: dict[str, str]) -> None:
    for name, behind in product(TEXTS, ("page", "shade")):
        assert contrast(colors[name], colors[behind]) >= READ, (name, behind)
    region = over(colors["region"], colors["page"], 0.13)
    for name, behind in product(GRAPHICS, (colors["page"], region)):
        assert contrast(colors[name], behind) >= SEEN, (name, behind)
    assert all(one != other for one, other in combinations([colors[name] for name in GRAPHICS], 2))


def test_the_style_sheet_has_each_colour_that_the_page_names() -> None:
    own = [resources.files("cpd.views.report").joinpath(name).read_text("utf-8") for name in ("page.css", "figures.js")]
    named = {name for text in own for name in re.findall(r"""(?:var\(|")--([a-z0-9]+)""", text)}
    assert {"ink", "page", "accent"} <= named <= LIGHT.keys() == DARK.keys()
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", own[0])  # no colour but those that both themes have
    assert {line_of(k, "")["color"] for k in range(50)} == {f"--c{k}" for k in range(SERIES)}


def test_dark_is_for_screens_alone_and_can_be_refused() -> None:
    light, system, chosen = theme_css().splitlines()
    assert light.startswith(":root { color-scheme: light; ")
    assert system.startswith('@media screen and (prefers-color-scheme: dark) { :root:not([data-theme="light"]) {')
    assert chosen.startswith('@media screen { :root[data-theme="dark"] {')
    assert DARK["page"] not in light
    assert DARK["page"] in system
    assert DARK["page"] in chosen
