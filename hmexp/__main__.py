"""``python -m hmexp`` is the command ``hmexp``."""

from hmexp.cli.main import main

main()
