"""A document as one HTML file that opens offline: verdict, tables, interactive figures, and how to repeat it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from cpd.errors import CpdError
from cpd.verdict.document import Document, Plain, Recordings
from cpd.views.output import check_output, write_output
from cpd.views.printable import one_line
from cpd.views.report.figures import figures
from cpd.views.report.panels import Figure
from cpd.views.report.tables import Table, runs_table, section_table
from cpd.views.tables.headline import subtitle, title, verdict_sentences
from cpd.views.tables.names import readable
from cpd.views.tables.render import sections

if TYPE_CHECKING:
    from jinja2 import Template

SUFFIXES = (".html", ".htm")

HEADINGS = {"summary": "Summary", "iterations": "Iterations", "runs": "Settings"}
"""Names of the tables, in the order of the page."""


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


def write_report(to: Path, document: Document, curves: Recordings, provenance: Provenance) -> None:
    """Write the report; the file is whole or not there.

    Args:
        to: Ends in one of :data:`SUFFIXES`.
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        provenance: Where it comes from.

    Raises:
        CpdError: Another suffix, plotly missing, or the file cannot be written.
    """
    check_output(to, SUFFIXES)
    write_output(to, page(document, curves, provenance))


def page(document: Document, curves: Recordings, provenance: Provenance) -> str:
    """The report as HTML.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        provenance: Where it comes from.

    Returns:
        A page whose policy lets a browser run its own three scripts, known by their hashes, and load nothing at all.

    Raises:
        CpdError: plotly is missing.
    """
    template, plotly = _libraries()
    document = readable(document)
    drawn = figures(document, curves)
    scripts = (_own("tables.js"), plotly, _own("figures.js"))
    task = one_line(document["task"])
    return template.render(
        policy=policy(*scripts),
        task=task,
        aim=title(document).removeprefix(f"{task}: "),
        shared=subtitle(document),
        verdict=verdict_sentences(document),
        parts=[part for part in _parts(document, drawn, provenance) if not part.is_empty],
        drawings=[{"data": figure["data"], "layout": figure["layout"]} for figure in drawn],
        style=_own("page.css"),
        scripts=scripts,
    )


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
        raise CpdError(f"needs {missing}", place="--to", hint="pip install 'cpd[report]'") from None
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
        Part("All runs", runs_table(document)),
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
