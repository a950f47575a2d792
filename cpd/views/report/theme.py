"""The colours of a report, light and dark: the page's and its figures', as variables of its style sheet."""

from __future__ import annotations

from collections.abc import Mapping

SERIES = 7
"""Colours of lines, Okabe and Ito's (2008), darker on a light page and lighter on a dark one: c0, c1, ..."""

LIGHT = {
    "page": "#ffffff",
    "ink": "#1d1d1f",
    "faint": "#5c5c63",
    "edge": "#d9d9de",
    "control": "#767680",
    "shade": "#f5f5f7",
    "good": "#00694d",
    "bad": "#a33c00",
    "accent": "#005a8f",
    "grid": "#e6e6e6",
    "region": "#009e73",
    "front": "#6a6a70",
    "others": "#b4b4ba",
    "c0": "#0072b2",
    "c1": "#d55e00",
    "c2": "#008a64",
    "c3": "#b85c90",
    "c4": "#2c8fc9",
    "c5": "#a87000",
    "c6": "#000000",
}

DARK = {
    "page": "#17181c",
    "ink": "#ececef",
    "faint": "#a9a9b2",
    "edge": "#3b3c43",
    "control": "#8a8a94",
    "shade": "#22242a",
    "good": "#4fd1a5",
    "bad": "#ff9d66",
    "accent": "#7cc0f5",
    "grid": "#33353c",
    "region": "#2dbe93",
    "front": "#9d9da6",
    "others": "#5d5f68",
    "c0": "#4c9fe0",
    "c1": "#f07f2e",
    "c2": "#2dbe93",
    "c3": "#db93bc",
    "c4": "#8ccbf2",
    "c5": "#f0b83c",
    "c6": "#f4f4f6",
}


def theme_css() -> str:
    """The variables: light; dark on a screen, where the system or the reader wants it, never on paper."""
    dark = f"color-scheme: dark; {_variables(DARK)}"
    return (
        f":root {{ color-scheme: light; {_variables(LIGHT)} }}\n"
        f'@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f'@media screen {{ :root[data-theme="dark"] {{ {dark} }} }}\n'
    )


def _variables(colors: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {color};" for name, color in colors.items())
