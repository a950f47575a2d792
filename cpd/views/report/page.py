"""A document as one HTML file that opens offline: verdict, tables, interactive figures, and how to repeat it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from cpd import files
from cpd.errors import CpdError
from cpd.views.report.figures import figures
from cpd.views.report.html_tables import pairs_table, runs_table, section_table
from cpd.views.tables.headline import subtitle, title, verdict_sentences
from cpd.views.tables.render import sections as table_sections
from cpd.views.tables.section import clean

__all__ = ["page", "write_report"]

Document = Mapping[str, Any]
Curves = Sequence[Mapping[str, Any] | None]

HEADINGS = {"runs": "Settings", "summary": "Summary", "iterations": "Iterations"}


def write_report(to: Path, document: Document, curves: Curves, provenance: Mapping[str, Any]) -> None:
    """Write the report; the file is whole or not there.

    Args:
        to: Ends in ``.html`` or ``.htm``.
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        provenance: See :func:`page`.

    Raises:
        CpdError: Another suffix, plotly missing, or the file cannot be written.
    """
    if to.suffix.lower() not in (".html", ".htm"):
        raise CpdError(f"cannot write '{to.suffix}' reports", place=f"--to {to}", hint="valid: .html, .htm")
    if not to.parent.is_dir():
        raise CpdError(f"no folder '{to.parent}'", place=f"--to {to}", hint="make it, or choose another place")
    content = page(document, curves, provenance)
    try:
        files.write(to, content)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise CpdError(message, place=f"--to {to}", hint="choose another place") from None


def page(document: Document, curves: Curves, provenance: Mapping[str, Any]) -> str:
    """The report as HTML.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        provenance: Any of ``spec_text`` and ``problem_text`` (as written), ``canonical`` (the spec resolved: plain
            values or text), ``command_line``, ``repeat_command``, ``versions`` and ``machine`` (names to values),
            ``started``, ``ended``.

    Returns:
        A page whose policy lets a browser run its own three scripts, known by their hashes, and load nothing at all.

    Raises:
        CpdError: plotly is missing.
    """
    drawn = figures(document, curves)
    scripts = (_own("tables.js"), _plotly(), _own("figures.js"))
    first, *others = _tables_html(document)
    parts = [first, _figures_html(drawn), *others, _failures(document), *_provenance_html(provenance)]
    shown = [(name, body) for name, body in parts if body]
    return Template(_own("page.html")).substitute(
        policy=policy(*scripts),
        title=html.escape(f"{clean(document['task'])} · cpd"),
        task=html.escape(clean(document["task"])),
        aim=html.escape(title(document).removeprefix(f"{clean(document['task'])}: "))
        + "<br>"
        + html.escape(subtitle(document)),
        verdict="".join(f"<p>{html.escape(sentence)}</p>" for sentence in verdict_sentences(document)),
        contents="".join(f'<li><a href="#{_anchor(name)}">{html.escape(name)}</a></li>' for name, _ in shown),
        sections="\n".join(
            f'<section id="{_anchor(name)}"><h2>{html.escape(name)}</h2>\n{body}</section>' for name, body in shown
        ),
        style=_own("page.css"),
        figures=embedded([{"data": figure["data"], "layout": figure["layout"]} for figure in drawn]),
        tables_script=scripts[0],
        plotly=scripts[1],
        figures_script=scripts[2],
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


def embedded(value: Any) -> str:
    """JSON that stands inside a script element whatever its texts are."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise CpdError("needs plotly", place="--to", hint="pip install 'cpd[report]'") from None
    script: str = get_plotlyjs()
    return script.replace("\r\n", "\n").replace("\r", "\n")  # as a browser reads it, for the hash


def _own(name: str) -> str:
    return resources.files("cpd.views.report").joinpath(name).read_text(encoding="utf-8")


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")


def _figures_html(drawn: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    return "Figures", "\n".join(
        f'<figure id="figure-{figure["kind"]}"><h3>{html.escape(figure["title"])}</h3>'
        f'<div class="plot" data-figure="{k}" role="img" aria-label="{html.escape(figure["title"])}: '
        f'{html.escape(figure["caption"])}"></div><figcaption>{html.escape(figure["caption"])}</figcaption></figure>'
        for k, figure in enumerate(drawn)
    )


def _tables_html(document: Document) -> list[tuple[str, str]]:
    found = {section.name: section for section in table_sections(document)}
    names = [name for name in ("summary", "iterations", "runs") if name in found]
    return [
        *((HEADINGS[name], section_table(found[name], HEADINGS[name])) for name in names),
        ("All runs", runs_table(document)),
    ]


def _failures(document: Document) -> tuple[str, str]:
    """Each distinct error once, with how many runs it ended."""
    errors = [run["error"] for run in document["runs"] if run["error"]]
    counts = {error: errors.count(error) for error in dict.fromkeys(errors)}
    parts = [f"<h3>{n} run(s)</h3><pre>{html.escape(error.rstrip())}</pre>" for error, n in counts.items()]
    return "Failures", "".join(parts)


def _provenance_html(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    canonical = provenance.get("canonical")
    resolved = canonical if isinstance(canonical, str) or canonical is None else json.dumps(canonical, indent=2)
    times = {name: provenance[name] for name in ("started", "ended") if provenance.get(name)}
    about = {**times, **(provenance.get("machine") or {}), **(provenance.get("versions") or {})}
    ran = _preformatted(provenance.get("command_line"), "It was run with")
    again = _preformatted(provenance.get("repeat_command"), "This repeats it, in an environment with these versions")
    return [
        ("How to repeat it", ran + again),
        ("Spec as written", _preformatted(provenance.get("spec_text"))),
        ("Problem as written", _preformatted(provenance.get("problem_text"))),
        ("Spec as resolved", _preformatted(resolved, "Every hyperparameter and default that was used")),
        ("Versions and machine", pairs_table(about) if about else ""),
    ]


def _preformatted(text: str | None, lead: str = "") -> str:
    if not text:
        return ""
    return (f"<p>{html.escape(lead)}:</p>" if lead else "") + f"<pre>{html.escape(text.rstrip())}</pre>"
