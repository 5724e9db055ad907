"""What a campaign asks of the process that runs a notebook, and what that answers."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: Module that is run for each notebook. Named, not imported: papermill is slow to import.
DRIVER: Final = "hmexp.campaign.driver"


class NotebookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A notebook to be run.

    Parameters
    ----------
    notebook, output : str
        Its file, and that of the executed copy.
    parameters : dict
        For its cell of parameters.
    cwd : str
        Folder in which it is run.
    """

    notebook: str
    output: str
    parameters: dict[str, object]
    cwd: str


class NotebookOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a notebook.

    Parameters
    ----------
    status : str
        ``finished``, ``failed`` or ``kernel died``.
    reason : str or None
        Why it is not finished.
    signal : str or None
        Name of the signal that ended the kernel, or the process that ran it.
    """

    status: Literal["finished", "failed", "kernel died"]
    reason: str | None = None
    signal: str | None = None


def literal_path(path: str) -> str:
    """A path for papermill, which fills in what stands in braces: every brace twice stands for itself."""
    return path.replace("{", "{{").replace("}", "}}")
