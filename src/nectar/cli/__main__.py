"""``python -m nectar.cli``: the same as ``nectar``, for an interpreter that is known by its path."""

from nectar.cli import main

main()
