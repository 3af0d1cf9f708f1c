"""`resnet-exp` and `python -m resnet_cli`: the command line, and what happens when it is ended from outside.

Nothing but the standard library is imported before a signal can be answered with a sentence: torch takes seconds.
"""

import contextlib
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SENTENCE = "{}; finished runs and checkpoints are kept, and the same command resumes from there."
WORDS = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "ended by SIGHUP"}
"""What is said after Ctrl-C, a request to end and the end of the terminal, as far as the system has them."""


def main() -> NoReturn:
    """Run the command line and exit: with its own code, or 130, 143 or 129 if one of these signals ended it."""
    ended_by: list[signal.Signals] = []

    def end(number: int, frame: FrameType | None) -> NoReturn:
        ended_by.append(signal.Signals(number))
        sys.exit(128 + number)  # leave by way of every `finally`

    def end_again(lost: "UnraisableHookArgs") -> None:
        """Python loses an exit inside a destructor or the callback of a weak reference: send the signal again."""
        if ended_by and isinstance(lost.exc_value, SystemExit):
            threading.Timer(0.01, _send_to_main_thread, [ended_by[0]]).start()
        else:
            show_lost(lost)

    show_lost, sys.unraisablehook = sys.unraisablehook, end_again
    numbers = [signal.Signals[name] for name in WORDS if hasattr(signal, name)]
    answered = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    for number in answered:
        signal.signal(number, end)
    code: object = 0
    try:
        from resnet_cli.cli.main import run

        run()
    except BaseException as error:  # imports may turn the exit into another error
        if ended_by:
            code = 128 + ended_by[0]
        elif isinstance(error, SystemExit):
            code = error.code
        else:
            raise
    finally:
        for number in answered:  # nothing disturbs the exit
            signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, ValueError, AttributeError):  # the terminal may be gone
        if ended_by:
            print("resnet-exp:", SENTENCE.format(WORDS[ended_by[0].name]), file=sys.stderr)
        sys.stdout.flush()
    raise SystemExit(code)


def _send_to_main_thread(number: signal.Signals) -> None:
    if hasattr(signal, "pthread_kill") and (main_thread := threading.main_thread().ident):
        signal.pthread_kill(main_thread, number)  # also ends a wait there
    else:
        signal.raise_signal(number)


if __name__ == "__main__":
    main()
