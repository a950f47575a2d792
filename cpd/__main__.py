"""``python -m cpd``."""

from cpd.cli import main

main()
