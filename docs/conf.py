"""The site: ``nox -s docs``. Its source is the repository and not docs/ alone, so that a link leads to the same place in both."""

import nectar

project = "Nectar"
copyright = "the authors of Nectar"  # noqa: A001
release = nectar.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_mock_imports = ["nox"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "examples/*/README.md"]
exclude_patterns = [".*", "**/.*"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Nectar {release}"
html_extra_path = ["site"]  # index.html, which leads to docs/index.html
html_copy_source = False

add_module_names = False
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
nitpicky = True
# The standard library's documentation is elsewhere, and the site is built without a network.
nitpick_ignore_regex = [
    ("py:.*", r"(asyncio|collections|concurrent|contextlib|contextvars|functools|pathlib|pytest)\..*"),
    ("py:(class|exc)", "AbstractContextManager|Case|Executor|NectarError|UnresponsiveError|Path|Status|Trial|_Function"),
]


def without_factories(app, what, name, obj, options, signature, returned):
    if name.startswith("nectar.testing.") and what in ("class", "exception"):  # which nobody makes: tests are given them
        return "", None
    return signature and signature.replace("=<factory>", " = ...").replace(" = <factory>", " = ..."), returned


def setup(app):
    app.connect("autodoc-process-signature", without_factories)
