"""Controls in a notebook, and a picture that follows them.

The picture is an ordinary output that is replaced in place, not a widget: it stays in a saved notebook, in a
document made of one, and in what papermill writes, where no control can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import ipywidgets
from IPython.display import DisplayHandle, display

from hmexp.errors import HmexpError
from hmexp.markup import badge, card, element, muted
from hmexp.progress import is_attended
from hmexp.report.page.inline_html import Html

_ATTENDED: Final = (
    "The picture follows the controls while the notebook has a kernel; a saved notebook keeps the last one."
)
_ALONE: Final = (
    "This notebook ran without a person (by papermill, say), so the controls are left out: this is the "
    "picture for its parameters. Open it in JupyterLab and run it to move them."
)


class Play:
    """Controls over a picture.

    Parameters
    ----------
    draw : callable
        Makes the picture from the controls' values, given by name.
    controls : mapping of str to widget
        Each has a ``value``.
    button : str, optional
        Draw when a button with this text is pressed, not at each change: for what takes a while.
    attended : bool, optional
        Whether there is a person to move them; found out if not given.
    """

    def __init__(
        self,
        draw: Callable[..., Html],
        controls: Mapping[str, Any],
        *,
        button: str | None = None,
        attended: bool | None = None,
    ) -> None:
        self.controls = dict(controls)
        self.attended = is_attended() if attended is None else attended
        self._draw = draw
        self._handle: DisplayHandle | None = None
        self.button = (
            None if button is None else ipywidgets.Button(description=button, button_style="primary")
        )
        if self.button is not None:
            self.button.on_click(lambda _: self.redraw())
        else:
            for control in self.controls.values():
                control.observe(lambda _: self.redraw(), names="value")

    def show(self) -> None:
        """Display the controls, if anybody can move them, and the first picture."""
        if self.attended:
            rows = [*self.controls.values(), *([] if self.button is None else [self.button])]
            display(ipywidgets.VBox(rows))
        note = muted(_ATTENDED if self.attended else _ALONE)
        display(Html(note, _ATTENDED if self.attended else _ALONE))
        self._handle = display(self.picture(), display_id=True)

    def picture(self) -> Html:
        """The picture for the controls as they are; what cannot be drawn is said instead."""
        try:
            return self._draw(**{name: control.value for name, control in self.controls.items()})
        except HmexpError as error:
            said = card(element("div", badge("not possible", "bad"), " ", str(error)))
            return Html(said, f"not possible: {error}")

    def redraw(self) -> None:
        """Replace the picture."""
        if self._handle is None:
            return
        if self.button is not None:
            self.button.disabled = True
            self._handle.update(Html(muted("Measuring ..."), "Measuring ..."))
        try:
            self._handle.update(self.picture())
        finally:
            if self.button is not None:
                self.button.disabled = False
