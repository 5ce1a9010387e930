"""A Redis of our own, on a free port and without a disk: started, killed, stopped, emptied.

The program is Debian's (`apt-get install redis-server`).
"""

import shutil
import signal
import socket
import subprocess
import time


class Redis:
    """The server, as a context."""

    def __init__(self):
        if shutil.which("redis-server") is None:
            raise RuntimeError("Redis is not installed (Debian: apt-get install redis-server)")
        self.server = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def start(self, seconds=30):
        """Starts one that knows nothing, and waits until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self.ask("PING") == b"+PONG\r\n":
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("Redis does not start")

    def ask(self, command):
        """The first of what it says to a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(4096)

    def stop(self):
        """SIGSTOP: it takes connections and answers nothing."""
        self.server.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.server.send_signal(signal.SIGCONT)

    def kill(self):
        self.server.kill()
        self.server.wait(10)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.server.poll() is None:
            self.kill()
