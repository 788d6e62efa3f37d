"""A web server whose socket was opened by somebody else, and stays open when the server ends.

systemd opens it (deploy/systemd/portal.socket) and hands it over as sd_listen_fds(3) says. Who
comes while the server is started anew waits in that socket for a moment, and nobody is refused.
"""

import os
import socket
from typing import Any

from granian._granian import SocketHolder
from granian.server import MPServer

FIRST = 3  # the number of the first socket that is handed over
BACKLOG = 1024  # granian's own


def handed_over() -> socket.socket | None:
    """The socket that is meant for this process, or None if none is."""
    is_ours = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    if os.environ.pop("LISTEN_FDS", "") != "1" or not is_ours:
        return None
    listener = socket.socket(fileno=FIRST)
    listener.set_inheritable(False)  # forked workers have it all the same
    return listener


class OnAnOpenSocket(MPServer):
    """Granian, all of whose workers accept from one socket; it is not closed for anybody else.

    Granian can only open a socket itself: the method below is its own, and replaced.
    """

    def __init__(self, listener: socket.socket, **options: Any) -> None:
        super().__init__("portal", **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        is_unix = self._listener.family == socket.AF_UNIX
        self._ssp = None
        self._shd = SocketHolder(self._listener.fileno(), is_unix, BACKLOG)  # type: ignore[assignment, call-arg]
        self._sso = self._listener
