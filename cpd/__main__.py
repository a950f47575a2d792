"""``python -m cpd``."""

from cpd.cli.main import main

main()
