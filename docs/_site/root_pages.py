"""Pages of the repository's root as pages of the site: their text is in one place, and links between them hold."""

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

__all__ = ["ROOT_PAGES", "relinked", "setup"]

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
# Each page here says where its text is, for those who read it as a file.
ROOT_PAGES = {"index": "README.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md",
              "security": "SECURITY.md"}  # fmt: skip
LINK = re.compile(r"\[([^\[\]]*)\]\(([^)#\s]+)((?:#[^)]*)?)\)")


def relinked(text: str, folder: Path) -> str:
    """Links of a page in ``folder`` as a page in docs/ needs them."""
    pages = {(ROOT / page): DOCS / f"{name}.md" for name, page in ROOT_PAGES.items()}

    def link(match: re.Match) -> str:
        if "://" in match[2]:
            return match[0]
        target = Path(os.path.normpath(folder / match[2]))
        page = pages.get(target, target)
        if page.suffix == ".md" and not page.is_relative_to(DOCS):
            return f"{match[1]} (`{page.relative_to(ROOT)}`)"  # no page of the site, and no file to download
        return f"[{match[1]}]({os.path.relpath(page, DOCS)}{match[3]})"

    return LINK.sub(link, text)


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """The text of a page before it is parsed. Of index.md the lists of pages stay."""
    if name not in ROOT_PAGES:
        source[0] = relinked(source[0], DOCS)
        return
    lists = re.findall(r"^```\{toctree\}.*?^```$", source[0], re.M | re.S)
    text = relinked((ROOT / ROOT_PAGES[name]).read_text(), ROOT)
    source[0] = "\n\n".join([text, *lists]) + "\n"


def setup(app: Sphinx) -> dict:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
