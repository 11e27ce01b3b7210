"""The topics: a file in ``topics/`` for each, with its words.

They are found by ``importlib.resources`` and not beside ``__file__`` or in the current directory: they are there wherever the package is
installed, in the environment that nectar makes, too.
"""

from importlib.resources import files

from several_modules.words import words_of

FOLDER = files("several_modules") / "topics"
TOPICS = {
    file.name.removesuffix(".txt"): words_of(file.read_text(encoding="utf-8"))
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name)
}
