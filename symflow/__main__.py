"""``python -m symflow``: the command line."""

from symflow.cli import main

main()
