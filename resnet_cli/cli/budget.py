"""A limit on the time of a command, which ends it as Ctrl-C does: cleanly, at any moment."""

import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from resnet_cli.cli.console import complain
from resnet_cli.settings.errors import UserError, shorten

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

EX_TEMPFAIL = 75
"""The exit code of a command that should be tried again, by the convention of sysexits.h."""

MOST_HOURS = 100_000.0


class Budget:
    """Hours from now; as a context, it ends what runs inside when they are over, with exit code 75 and a sentence.

    Without `hours` there is no limit. The context must be entered in the main thread, and may be several times.

    Raises:
        UserError: it is no such number, or this system has no timer for it.
    """

    def __init__(self, hours: float | None) -> None:
        self.hours, self._began, self._is_over = hours, time.monotonic(), False
        if hours is None:
            return
        if not 0 < hours <= MOST_HOURS:  # not so for nan either
            raise UserError(f"max-hours (={shorten(hours)}) must be a number of hours above 0, such as 3.5.")
        if not hasattr(signal, "setitimer"):
            raise UserError("max-hours needs a timer that this system lacks; leave it out, and press Ctrl-C instead.")

    def __enter__(self) -> Self:
        if self.hours is not None:
            self._before: Any = signal.signal(signal.SIGALRM, self._end)
            self._show_lost, sys.unraisablehook = sys.unraisablehook, self._end_again
            left = self.hours * 3600 - (time.monotonic() - self._began)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))
        return self

    def __exit__(self, *error: object) -> None:
        if self.hours is None:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        sys.unraisablehook = self._show_lost
        if self._is_over:
            complain(
                f"--max-hours (={self.hours:g}) are over; finished runs and checkpoints are kept, "
                "and the same command resumes from there."
            )
            raise SystemExit(EX_TEMPFAIL)  # also where an import has turned it into another error

    def _end(self, number: int, frame: FrameType | None) -> NoReturn:
        self._is_over = True
        raise SystemExit(EX_TEMPFAIL)  # leave by way of every `finally`; nothing takes it for an error of a training

    def _end_again(self, lost: "UnraisableHookArgs") -> None:
        """Python loses an exit inside a destructor or the callback of a weak reference: let the timer go off again."""
        if self._is_over and isinstance(lost.exc_value, SystemExit):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            self._show_lost(lost)
