"""The documentation as a site: `make docs` builds it in build/docs, offline; warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import hmexp

project = "hmexp"
author = "The hmexp authors"
copyright = author  # noqa: A001  (Sphinx reads this name)
version = release = hmexp.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    # Ours, in _ext.
    "commands",
    "executed_notebooks",
]
templates_path = ["_templates"]
exclude_patterns = ["_ext", "_templates", "**/.ipynb_checkpoints"]
nitpicky = True
#: Types of others: their documentation is not at hand offline. Everything of hmexp's own must resolve.
nitpick_ignore_regex = [("py:.*", r"(?!hmexp\b).*")]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

# Only the notebooks are executed; a page of prose has no code cells.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
# Widgets need scripts from the network: a page shows what a cell says without them.
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's Parameters state the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"hmexp {release}"
html_static_path = ["_static"]
html_css_files = ["hmexp.css"]
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
