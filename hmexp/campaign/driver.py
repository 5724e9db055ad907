"""One notebook run by papermill, in a process of its own: ``python -m hmexp.campaign.driver``.

Papermill calls every cell completed, also after its kernel was killed, and does not tell by what. This one
looks after the kernel itself. See `hmexp.process` for how it is asked. What papermill and the kernel say
goes to standard error.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from hmexp.campaign.request import NotebookOutcome, NotebookRequest, literal_path
from hmexp.decoding import decode
from hmexp.process import answer_once, describe_end, signal_name

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


def execute(request: NotebookRequest) -> NotebookOutcome:
    """Run a notebook and say what became of it."""
    try:
        papermill.execute_notebook(
            literal_path(request.notebook),
            literal_path(request.output),
            parameters=request.parameters,
            cwd=request.cwd,
            progress_bar=False,
            log_output=True,
            # Papermill hands on what its client may be configured with.
            kernel_manager_class=f"{WatchedKernel.__module__}.{WatchedKernel.__name__}",
        )
    except PapermillExecutionError as error:
        words = f"{error.ename}: {error.evalue}".strip()[:_LONGEST]
        return NotebookOutcome(status="failed", reason=f"cell {error.exec_count}: {words}")
    except Exception as error:  # noqa: BLE001 - whatever it is, the campaign continues and records it
        # While it starts, the death of a kernel has no class of its own.
        if isinstance(error, DeadKernelError) or "Kernel died" in str(error):
            return _died(WatchedKernel.status)
        reason = f"papermill: {type(error).__name__}: {error}"[:_LONGEST]
        return NotebookOutcome(status="failed", reason=reason)
    return NotebookOutcome(status="finished")


def _died(status: int | None) -> NotebookOutcome:
    how = "died" if status is None else describe_end(status)
    name = signal_name(-status) if status is not None and status < 0 else None
    return NotebookOutcome(status="kernel died", reason=f"the notebook's kernel {how}", signal=name)


def answer(question: bytes) -> bytes:
    """Run the notebook that an encoded request names, and encode the outcome."""
    # The log of the entry: what papermill does, and what the notebook prints meanwhile.
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return msgspec.json.encode(execute(decode(question, NotebookRequest)))


if __name__ == "__main__":
    answer_once(answer)
