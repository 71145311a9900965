"""`python -m batchwatch.cli`: the command line where no script of it is installed."""

from batchwatch.cli import main

main()
