"""`python -m ravines`, for torchrun."""

from ravines.cli import main

main(prog_name="ravines")
