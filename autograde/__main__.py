"""``python -m autograde`` is ``autograde``."""

from autograde.cli import main

if __name__ == "__main__":
    main(prog_name="autograde")
