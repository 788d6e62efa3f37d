"""Ports for servers that are told theirs, and may stop and come back there.

A port that the system chose is anybody's as soon as it is let go of. These lie below those that
the system gives away, and each process of a test run has its own.
"""

import os
import random
import socket
from itertools import cycle

FIRST, EACH, PROCESSES = 20_000, 3_000, 4

_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
_own = range(FIRST + EACH * _process, FIRST + EACH * (_process + 1))
_begin = random.randrange(EACH)
_next = cycle([*_own[_begin:], *_own[:_begin]])


def free_port() -> int:
    """One that nobody listens on now."""
    for port in _next:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("", port))
            except OSError:
                continue
            return port
    raise AssertionError("a cycle does not end")
