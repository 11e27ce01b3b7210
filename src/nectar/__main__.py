"""``python -m nectar``: the same as ``nectar``."""

from nectar.cli import main

main()
