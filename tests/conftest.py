"""For all tests: no property test may fail because the machine is slow or busy."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A shell in the background, or nohup, has the tests ignore Ctrl-C or the end of the terminal,
# which every program that they start would inherit: tests of what it does to one would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)
