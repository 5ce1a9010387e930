"""SMTP clients that send exactly the octets that they are given."""

import base64
import collections
import re
import select
import socket
import ssl
import struct

Reply = collections.namedtuple("Reply", "code lines")
REF = re.compile(r"ref=([0-9A-Z]{10})")
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


class Wire:
    """One connection that knows nothing but replies; what is said on it is up to the caller."""

    def __init__(self, address, source=None, timeout=30):
        host, _, port = address.rpartition(":")
        source = (source, 0) if source else None
        self.socket = socket.create_connection((host, int(port)), timeout=timeout, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.socket.makefile("rb")

    def write(self, octets):
        self.socket.sendall(octets)

    def command(self, line):
        self.write(line.encode() + b"\r\n")
        return self.reply()

    def reply(self):
        lines = []
        while line := self.reader.readline(4096):
            lines.append(line[4:].decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), lines)
        raise ConnectionError("the server closed the connection")

    def replies(self):
        """Everything that is still said until the server closes."""
        found = []
        try:
            while True:
                found.append(self.reply())
        except (ConnectionError, ValueError):
            return found

    def start_tls(self):
        """The handshake; the certificate may be anybody's, for the server made it itself."""
        self.socket = TLS.wrap_socket(self.socket)
        self.reader = self.socket.makefile("rb")

    def sign_in(self, login, password):
        token = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        self.expect(235, self.command(f"AUTH PLAIN {token}"))

    def is_closed(self):
        """Whether the server has closed, or said something that nobody asked for; between messages."""
        return bool(select.select([self.socket], [], [], 0)[0])

    @staticmethod
    def expect(code, reply):
        if reply.code != code:
            raise ConnectionError(f"expected {code}, got {reply.code} {' / '.join(reply.lines)}")

    def close(self, at_once=False):
        """`at_once`: with a reset, so that thousands of connections leave nothing behind."""
        if at_once:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.reader.close()
        self.socket.close()


class Client(Wire):
    """One connection, signed in; after STARTTLS unless the listener takes passwords in the clear."""

    def __init__(self, address, login, password, timeout=30, tls=True, source=None):
        super().__init__(address, source, timeout)
        self.expect(220, self.reply())
        self.expect(250, self.command("EHLO client.example"))
        if tls:
            self.expect(220, self.command("STARTTLS"))
            self.start_tls()
            self.expect(250, self.command("EHLO client.example"))
        self.sign_in(login, password)

    def send(self, mail_from, recipients, message):
        """Sends a message; the first reply that is not positive, or the last one, is the answer."""
        reply = self.envelope(mail_from, recipients)
        # After 421 the server listens no more (RFC 5321 3.8).
        if reply.code not in (354, 421):
            self.command("RSET")
        if reply.code != 354:
            return reply
        self.write(stuffed(message))
        return self.reply()

    def envelope(self, mail_from, recipients):
        """MAIL, RCPT and DATA: the last reply, or the first that is no yes."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        commands = [f"MAIL FROM:<{mail_from}> BODY=8BITMIME", *(f"RCPT TO:<{to}>" for to in recipients)]
        for command in commands:
            reply = self.command(command)
            if reply.code >= 400:
                return reply
        return self.command("DATA")


def text(reply):
    """A reply in one line."""
    return f"{reply.code} {' / '.join(reply.lines)}"


def reference(reply):
    """The ref of a reply, or None."""
    found = REF.search(" ".join(reply.lines))
    return found[1] if found else None


def stuffed(message):
    """As it goes over the wire after DATA. A message that does not end its last line gets a CRLF there."""
    end = b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n"
    return re.sub(rb"(^|\r\n)\.", rb"\1..", message) + end
