"""The documentation site: `make docs` builds it from this folder into build/docs. Nothing of it needs a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_site"))

import fivebyfive

project = "fivebyfive"
author = "the authors of fivebyfive"
version = release = fivebyfive.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click", "docstrings", "commands", "root_pages"]
exclude_patterns = ["_site"]
source_suffix = {".md": "markdown"}
nitpicky = True
smartquotes = False  # they would make a dash of "--"
# Types and names of other projects (NumPy, Amaranth, click), and of what has no entry on these pages, are plain text.
nitpick_ignore_regex = [("py:.*", ".*")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # CHANGELOG.md begins its versions at the second level

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # as the source has them: no path of the machine that built the pages

html_theme = "furo"
html_title = f"fivebyfive {release}"
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
html_static_path = []
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
