"""One notebook run by papermill, in a process of its own: ``python -m hmexp.campaign.driver``.

Papermill calls every cell completed, also after its kernel was killed, and does not tell by what. This one
looks after the kernel itself. The request is a line of JSON on standard input; the outcome one on standard
output. What papermill and the kernel say goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from typing import Any, Final

import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from hmexp.native.process import die_with_parent

_LONGEST: Final = 2000


class WatchedKernel(AsyncKernelManager):  # type: ignore[misc, unused-ignore]
    """A kernel of which it is known how it ended."""

    #: Exit status of the last kernel that was found dead; negative: the number of a signal.
    status: int | None = None

    async def _async_is_alive(self) -> bool:
        alive = bool(await super()._async_is_alive())
        process = getattr(self.provisioner, "process", None)
        if not alive and process is not None:
            WatchedKernel.status = process.returncode
        return alive

    is_alive = _async_is_alive  # type: ignore[assignment, unused-ignore]


def execute(request: dict[str, Any]) -> dict[str, str | None]:
    """Run a notebook and say what became of it.

    Parameters
    ----------
    request : dict
        ``notebook``, ``output``, ``parameters`` and ``cwd``.

    Returns
    -------
    dict
        ``status`` (``finished``, ``failed`` or ``kernel died``), ``reason`` and ``signal``.
    """
    try:
        papermill.execute_notebook(
            request["notebook"],
            request["output"],
            parameters=request["parameters"],
            cwd=request["cwd"],
            progress_bar=False,
            log_output=True,
            # Papermill hands on what its client may be configured with.
            kernel_manager_class=f"{WatchedKernel.__module__}.{WatchedKernel.__name__}",
        )
    except PapermillExecutionError as error:
        words = f"{error.ename}: {error.evalue}".strip()[:_LONGEST]
        return _outcome("failed", f"cell {error.exec_count}: {words}")
    except Exception as error:  # noqa: BLE001 - whatever it is, the campaign goes on and tells of it
        # While it starts, the death of a kernel has no class of its own.
        if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
            return _died(WatchedKernel.status)
        return _outcome("failed", f"papermill: {type(error).__name__}: {error}"[:_LONGEST])
    return _outcome("finished", None)


def _died(status: int | None) -> dict[str, str | None]:
    if status is not None and status < 0:
        name = _name(-status)
        return _outcome("kernel died", f"the notebook's kernel was killed by {name}", name)
    how = "died" if status is None else f"ended with status {status}"
    return _outcome("kernel died", f"the notebook's kernel {how}")


def _outcome(status: str, reason: str | None, signal_name: str | None = None) -> dict[str, str | None]:
    return {"status": status, "reason": reason, "signal": signal_name}


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def main() -> None:
    """Take one request, answer it, and end."""
    request = json.load(sys.stdin)
    die_with_parent(int(request["parent"]))
    # Whatever else writes to standard output must not come between.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # The log of the entry: what papermill does, and what the notebook prints meanwhile.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    outcome = execute(request)
    out.write(json.dumps(outcome) + "\n")
    out.close()


if __name__ == "__main__":
    main()
