"""A wire to a port: it passes everything on, hangs, refuses, or answers nonsense."""

import select
import socket
import threading
import time

THROUGH, HANGS, REFUSES, BABBLES = "through", "hangs", "refuses", "babbles"


class Wire:
    """The wire, as a context. Connections of an earlier mode end when it passes everything on again."""

    def __init__(self, port):
        self.there, self.mode, self.age, self.over = ("127.0.0.1", port), THROUGH, 0, False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.here = self.listener.getsockname()
        self.port = self.here[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def set(self, mode):
        self.mode, self.age = mode, self.age + 1

    def listen(self):
        while not self.over:
            if self.mode == REFUSES:
                if self.listener is not None:
                    self.listener.close()
                    self.listener = None
                time.sleep(0.01)
                continue
            if self.listener is None:
                self.listener = socket.create_server(self.here, backlog=256)
            if select.select([self.listener], [], [], 0.05)[0]:
                client, _ = self.listener.accept()
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        try:
            with client:
                age = self.age
                if self.mode == THROUGH:
                    with socket.create_connection(self.there) as server:
                        if not self.both_ways(client, server, age):
                            return
                age = self.age
                if self.mode == BABBLES:
                    client.sendall(b"\x7f" * 512)
                while self.mode in (HANGS, BABBLES) and self.age == age and not self.over:
                    time.sleep(0.02)
        except OSError:
            return  # One of them has gone.

    def both_ways(self, client, server, age):
        """Until one ends, or the mode changes; whether it was the mode."""
        while self.age == age and not self.over:
            for ready in select.select([client, server], [], [], 0.02)[0]:
                octets = ready.recv(65536)
                if not octets:
                    return False
                (server if ready is client else client).sendall(octets)
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over = True
