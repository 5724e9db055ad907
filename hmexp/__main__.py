"""``python -m hmexp`` is the command ``hmexp``."""

from hmexp.cli import main

main()
