"""A document as one HTML file that opens offline: verdict, tables, interactive figures, and how to repeat it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from cpd.errors import CpdError, install
from cpd.verdict.document import Document, Plain, Recordings
from cpd.views.output import check_output, write_output
from cpd.views.printable import one_line
from cpd.views.report.figures import figures
from cpd.views.report.packing import packed
from cpd.views.report.panels import Figure
from cpd.views.report.tables import Table, runs_table, section_table
from cpd.views.report.theme import theme_css
from cpd.views.report.verdicts import verdicts_of
from cpd.views.tables.both import judged_on
from cpd.views.tables.headline import bounds, subtitle, title
from cpd.views.tables.names import readable
from cpd.views.tables.render import sections

if TYPE_CHECKING:
    from jinja2 import Template

SUFFIXES = (".html", ".htm")

HEADINGS = {"summary": "Summary", "transfer": "Transfer", "iterations": "Iterations", "runs": "Settings"}
"""Names of the tables, in the order of the page."""

MOST_BOUNDS = 4
"""Constraints that the head of the page names; more are a list that unfolds."""

FEW_ROWS = 5
"""Rows of a table that needs no filter."""

DASHES = {"solid": "", "dash": "5 3", "dashdot": "6 2 2 2", "dot": "2 2"}
"""Lines of a legend."""

OUTLINES = {
    "circle": "M15 3.5A3.5 3.5 0 1 1 14.99 3.5Z",
    "square": "M12 4H18V10H12Z",
    "triangle-up": "M15 3L19 10H11Z",
    "diamond": "M15 2.5L19.5 7L15 11.5L10.5 7Z",
    "triangle-down": "M15 11L19 4H11Z",
    "cross": "M13.5 3H16.5V5.5H19V8.5H16.5V11H13.5V8.5H11V5.5H13.5Z",
    "x": "M12 4L18 10M18 4L12 10",
    "triangle-left": "M11 7L18 3V11Z",
}
"""Points of a legend, plotly's symbols."""


class Provenance(TypedDict, total=False):
    """Where the numbers come from, and how to have them again; what is missing or empty is left out of the page."""

    spec_text: str
    """As written, like ``problem_text``."""
    problem_text: str | None
    canonical: Mapping[str, object] | str | None
    """The spec resolved."""
    command_line: str
    repeat_command: str
    versions: Mapping[str, str]
    machine: Mapping[str, Plain]
    started: str
    ended: str | None


class Text(NamedTuple):
    """Words that are shown as they are, under a heading or after a lead."""

    words: str
    lead: str = ""
    heading: str = ""


@dataclass(frozen=True)
class Part:
    """One section of the page; it is left out where all of it is empty."""

    name: str
    table: Table | None = None
    figures: Sequence[Figure] = ()
    texts: Sequence[Text] = ()
    pairs: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def anchor(self) -> str:
        """Its name in links."""
        return self.name.lower().replace(" ", "-")

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing below its heading."""
        return not (self.table or self.figures or self.texts or self.pairs)


def write_report(
    to: Path, document: Document, curves: Recordings, provenance: Provenance, beside: Document | None = None
) -> None:
    """Write the report; the file is whole or not there.

    Args:
        to: Ends in one of :data:`SUFFIXES`.
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        provenance: Where it comes from.
        beside: The document judged by the data that do not decide, where there are both.

    Raises:
        CpdError: Another suffix, plotly missing, or the file cannot be written.
    """
    check_output(to, SUFFIXES)
    write_output(to, page(document, curves, provenance, beside))


def page(document: Document, curves: Recordings, provenance: Provenance, beside: Document | None = None) -> str:
    """The report as HTML.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        provenance: Where it comes from.
        beside: The document judged by the data that do not decide, where there are both.

    Returns:
        A page whose policy lets a browser run its own four scripts, known by their hashes, and load nothing at all.

    Raises:
        CpdError: plotly is missing.
    """
    template, plotly = _libraries()
    document = readable(document)
    drawn = figures(document, curves)
    first, *others = (_own("theme.js"), _own("tables.js"), plotly, _own("figures.js"))
    return template.render(
        policy=policy(first, *others),
        **_head(document),
        verdicts=verdicts_of(document, None if beside is None else readable(beside)),
        parts=[part for part in _parts(document, drawn, provenance) if not part.is_empty],
        drawings=packed(drawn),
        few=FEW_ROWS,
        dashes=DASHES,
        symbols=OUTLINES,
        style=theme_css() + _own("page.css"),
        first_script=first,
        scripts=others,
    )


def _head(document: Document) -> dict[str, Any]:
    """What the page begins with: the task, its aim, and what all runs share."""
    task = one_line(document["task"])
    found = bounds(document)
    aim = title(document).removeprefix(f"{task}: ")
    if len(found) > MOST_BOUNDS:
        judged = f", {said}" if (said := judged_on(document)) else ""
        aim = f"minimise {one_line(document['objective'])} subject to {len(found)} constraints{judged}"
    unfolded = found if len(found) > MOST_BOUNDS else []
    return {"task": task, "aim": aim, "bounds": unfolded, "shared": subtitle(document)}


def policy(*scripts: str) -> str:
    """Allow these scripts by their hashes, styles in the page (plotly adds some), and no request of any kind.

    Pictures are allowed as data alone: plotly saves a figure as PNG through one.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _libraries() -> tuple[Template, str]:
    """The page's template, which escapes every text, and plotly's script."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        missing = str(error.name).partition(".")[0]
        raise CpdError(f"needs {missing}", place="report", hint=install("plotly", "jinja2")) from None
    environment = Environment(
        loader=FunctionLoader(_own), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    script: str = get_plotlyjs()
    as_read = script.replace("\r\n", "\n").replace("\r", "\n")  # by a browser, which hashes it so
    return environment.get_template("page.html"), as_read


def _own(name: str) -> str:
    return resources.files("cpd.views.report").joinpath(name).read_text(encoding="utf-8")


def _parts(document: Document, drawn: Sequence[Figure], provenance: Provenance) -> Iterator[Part]:
    found = {section.name: section for section in sections(document)}
    first, *others = [
        *(Part(words, section_table(found[name], words)) for name, words in HEADINGS.items() if name in found),
        Part("All runs", runs_table(document) if document["runs"] else None),
    ]
    yield from (first, Part("Figures", figures=drawn), *others, Part("Failures", texts=_failures(document)))
    yield from _provenance(provenance)


def _failures(document: Document) -> list[Text]:
    """Each distinct error once, with how many runs it ended."""
    errors = [run["error"] for run in document["runs"] if run["error"]]
    counts = {error: errors.count(error) for error in dict.fromkeys(errors)}
    return [Text(error.rstrip(), heading=f"{n} run(s)") for error, n in counts.items()]


def _provenance(given: Provenance) -> Iterator[Part]:
    canonical = given.get("canonical")
    resolved = canonical if isinstance(canonical, str) or canonical is None else json.dumps(canonical, indent=2)
    times = {"started": given.get("started"), "ended": given.get("ended")}
    about = {name: moment for name, moment in times.items() if moment}
    ran = _texts(given.get("command_line"), "It was run with")
    again = _texts(given.get("repeat_command"), "This repeats it, in an environment with these versions")
    yield Part("How to repeat it", texts=[*ran, *again])
    yield Part("Spec as written", texts=_texts(given.get("spec_text")))
    yield Part("Problem as written", texts=_texts(given.get("problem_text")))
    yield Part("Spec as resolved", texts=_texts(resolved, "Every hyperparameter and default that was used"))
    pairs = {**about, **given.get("machine", {}), **given.get("versions", {})}
    yield Part("Versions and machine", pairs=pairs)


def _texts(words: str | None, lead: str = "") -> list[Text]:
    return [Text(words.rstrip(), lead)] if words else []
