"""What the site needs beyond the pages of this folder; mkdocs calls these functions by their names.

Files of the repository that are pages of the site as well, a list of the decision records, and links: a page
names files as they lie in the repository, and a link to one that the site does not have becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
SHARED = {
    "ARCHITECTURE.md": "explanation/architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "explanation/benchmarks.md",
    "data/README.md": "reference/sample-bars.md",
    "llm_integration/README.md": "reference/library.md",
}
"""Files of the repository, and the page that each is on the site."""
PICTURES = "benchmarks/charts"
DECISIONS = "decisions/index.md"

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that do not lie in this folder."""
    for source, page in SHARED.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for chart in sorted((ROOT / PICTURES).glob("*.svg")):
        place = f"explanation/charts/{chart.name}"
        files.append(File.generated(config, place, abs_src_path=str(chart)))
    files.append(File.generated(config, DECISIONS, content=_decisions()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the repository into links to pages of the site."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, page: str) -> str:
    """``markdown`` of the page with that path in the site, its links as the site has them."""
    source = next((own for own, place in SHARED.items() if place == page), f"docs/{page}")

    def link(found: re.Match[str]) -> str:
        image, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        place = _on_site(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
        if place is None:
            return text if image or text.startswith("`") else f"`{text}`" if "." in text else text
        return f"{image}[{text}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(link, markdown)


def _on_site(file: str) -> str | None:
    """Where the site has a file of the repository; None: nowhere."""
    if file in SHARED:
        return SHARED[file]
    if file.startswith(f"{PICTURES}/"):
        return f"explanation/charts/{posixpath.basename(file)}"
    if file == "docs/decisions":
        return DECISIONS
    return file.removeprefix("docs/") if file.startswith("docs/") else None


def _decisions() -> str:
    """A page that lists the decision records by number and title."""
    lines = ["# Decisions\n", "Each decision that had an alternative: context, decision, what it costs.\n"]
    for record in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = record.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({record.name})")
    return "\n".join(lines) + "\n"
