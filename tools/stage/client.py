"""An SMTP client that sends exactly the octets that it is given."""

import base64
import collections
import re
import select
import socket
import ssl

Reply = collections.namedtuple("Reply", "code lines")


class Client:
    """One connection, signed in after STARTTLS."""

    def __init__(self, address, login, password, timeout=30):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")
        self.expect(220, self.reply())
        self.expect(250, self.command("EHLO client.example"))
        self.expect(220, self.command("STARTTLS"))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # The server made its certificate itself.
        self.socket = context.wrap_socket(self.socket)
        self.reader = self.socket.makefile("rb")
        self.expect(250, self.command("EHLO client.example"))
        token = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        self.expect(235, self.command(f"AUTH PLAIN {token}"))

    def send(self, mail_from, recipient, message):
        """Sends a message; the first reply that is not positive, or the last one, is the answer."""
        envelope = (f"MAIL FROM:<{mail_from}> BODY=8BITMIME", f"RCPT TO:<{recipient}>", "DATA")
        for command in envelope:
            reply = self.command(command)
            if reply.code >= 400:
                self.command("RSET")
                return reply
        self.socket.sendall(stuffed(message))
        return self.reply()

    def command(self, line):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def reply(self):
        lines = []
        while line := self.reader.readline(4096):
            lines.append(line[4:].decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), lines)
        raise ConnectionError("the server closed the connection")

    def is_closed(self):
        """Whether the server has closed, or said something that nobody asked for; between messages."""
        return bool(select.select([self.socket], [], [], 0)[0])

    @staticmethod
    def expect(code, reply):
        if reply.code != code:
            raise ConnectionError(f"expected {code}, got {reply.code} {' / '.join(reply.lines)}")

    def close(self):
        self.reader.close()
        self.socket.close()


def stuffed(message):
    """As it goes over the wire after DATA. A message that does not end its last line gets a CRLF there."""
    end = b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n"
    return re.sub(rb"(^|\r\n)\.", rb"\1..", message) + end
