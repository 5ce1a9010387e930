"""A supervisor that holds listening sockets and starts servers on them, as systemd does (sd_listen_fds(3))."""

import fcntl
import socket
import sys

# In the process that becomes the server: the sockets are numbered from 3 on, and its environment says so.
BECOME = """
import os, sys
names, fds, command = sys.argv[1], [int(fd) for fd in sys.argv[2].split(",")], sys.argv[3:]
for at, fd in enumerate(fds):
    os.dup2(fd, 3 + at)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""
HIGH = 100  # Out of the way of 3, 4, ...


class Holder:
    """Sockets by the names of their doors, as a context."""

    def __init__(self, *names):
        self.names, self.sockets = names, [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in names]
        self.fds = [fcntl.fcntl(held, fcntl.F_DUPFD_CLOEXEC, HIGH) for held in self.sockets]

    def address(self, name):
        return "%s:%d" % self.sockets[self.names.index(name)].getsockname()

    def start(self, home):
        """Starts the server of a house; the address of its submission door."""
        fds = ",".join(map(str, self.fds))
        under = [sys.executable, "-S", "-E", "-c", BECOME, ":".join(self.names), fds]
        return home.start(under=under, pass_fds=self.fds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for held in self.sockets:
            held.close()
