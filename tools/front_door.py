"""Write `hmexp/__init__.pyi` from the table in `hmexp/__init__.py`, for type checkers and editors.

Run it after a change of the table: `.venv/bin/python tools/front_door.py`. A test holds that it was run.
"""

from __future__ import annotations

from pathlib import Path

import hmexp

STUB = Path(hmexp.__file__).with_suffix(".pyi")
_HEAD = '''"""What `import hmexp` offers. Made by tools/front_door.py from the table in __init__.py."""

'''


def make_stub() -> str:
    """The text of the stub: an import for each name, in the order that ruff sorts imports."""

    def rank(name: str) -> tuple[int, str]:
        return (2 if name[0].islower() else 1, name)

    lines = [
        f"from {module} import {name} as {name}\n"
        for module, names in sorted(hmexp._NAMES.items())  # noqa: SLF001
        for name in sorted(names, key=rank)
    ]
    return _HEAD + "".join(lines) + "\n__version__: str\n__all__: list[str]\n"


if __name__ == "__main__":
    STUB.write_text(make_stub(), encoding="utf-8")
