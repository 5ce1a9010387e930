"""The shape of a message, read from its octets: its fields, what is taken off, and what is wrong with it.

An independent and simple reading: it says which refusals are due, so that the server is not its own judge.
"""

import re

SINGLETONS = b"""from sender reply-to to cc bcc subject date message-id in-reply-to references mime-version content-type
content-transfer-encoding content-id content-description content-disposition""".split()
# One mailbox that every reader reads alike: words or one quoted string, and an address.
ADDRESS = rb"[\w!#$%&'*+/=?^`{|}~.-]+@[\w-]+(?:\.[\w-]+)+"
NAME = rb"""(?:[^\x00-\x1f"(),.:;<>@\[\\\]]*|"(?:[^"\\]|\\.)*"\s*)"""
MAILBOX = re.compile(NAME + rb"<" + ADDRESS + rb">|" + ADDRESS)
LONGEST_LINE, LARGEST_HEADER, MOST_FIELDS, LARGEST = 2048, 102_400, 1000, 26_214_400


def from_file(octets):
    """The message of a file, with CRLF and without its mbox line, and the sender that the mbox line names."""
    message = re.sub(rb"\r?\n", b"\r\n", octets)
    if not message.startswith(b"From "):
        return message, None
    line, _, rest = message.partition(b"\r\n")
    words = line.split()
    return rest, words[1].decode("latin-1") if len(words) > 1 else None


def ended(message):
    """With the CRLF that DATA gives every last line."""
    return message if message.endswith(b"\r\n") or not message else message + b"\r\n"


def halves(message):
    """The header section, and the body with the empty line before it."""
    if message.startswith(b"\r\n"):
        return b"", message
    header, end, body = message.partition(b"\r\n\r\n")
    return (header + b"\r\n", b"\r\n" + body) if end else (message, b"")


def fields(header):
    """Whole fields, folding included; a line that is none stands for itself."""
    return re.findall(rb"[^\r\n][^\n]*\n(?:[ \t][^\n]*\n)*", header)


def name(field):
    return field.partition(b":")[0].strip().lower()


def value(field):
    """Without folding."""
    return re.sub(rb"\r\n", b"", field.partition(b":")[2]).strip()


def without(message, names, resent=False):
    """Without the fields of these names."""
    header, body = halves(message)
    kept = [f for f in fields(header) if name(f) not in names and not (resent and name(f).startswith(b"resent-"))]
    return b"".join(kept) + body


def with_from(message, address):
    """Every From field replaced, as many as there are."""
    header, body = halves(message)
    ours = f"From: <{address}>\r\n".encode()
    return b"".join(ours if name(field) == b"from" else field for field in fields(header)) + body


def values(message, wanted):
    return [value(field) for field in fields(halves(message)[0]) if name(field) == wanted]


def address(text):
    """The address of a field with one, or None."""
    found = re.findall(rb"<([^<>@\s]+@[^<>@\s]+)>", text) or re.findall(rb"[^<>@\s\"(),;:]+@[^<>@\s\"(),;:]+", text)
    return found[-1].decode("latin-1") if found else None


def foreign(message, wanted, domain):
    """Whether a field of this name has an address of another domain."""
    found = [address(text) for text in values(message, wanted)]
    return any(one and one.rpartition("@")[2].lower() != domain for one in found)


def sender_of(message, mbox_sender):
    """The reverse path under which it was sent: Return-Path, else the mbox line, else the author."""
    for text in values(message, b"return-path"):
        return address(text) or ""  # `<>`, and what is no address.
    if mbox_sender and "@" in mbox_sender:
        return mbox_sender
    return next((found for text in values(message, b"from") if (found := address(text))), "")


def path_faults(mail_from):
    """`reverse-path` for one that is refused at MAIL already: no address, or not in ASCII."""
    return set() if not mail_from or re.fullmatch(ADDRESS, mail_from.encode()) else {"reverse-path"}


def is_mailbox(text):
    """Whether everybody reads the same one mailbox in a field."""
    try:
        return bool(MAILBOX.fullmatch(text)) and len(text.decode()) < 500
    except UnicodeDecodeError:
        return False


def first_difference(one, other):
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def faults(message):
    """The reasons for which it may be refused as it stands: limits, and what can be read in two ways."""
    header, _ = halves(message)
    found, all_fields = set(), fields(header)
    names = [name(field) for field in all_fields]
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", message):
        found.add("bare-line-ending")
    if max(map(len, message.split(b"\r\n"))) > LONGEST_LINE:
        found.add("line-too-long")
    if len(message) > LARGEST:
        found.add("limit-message-bytes")
    if len(header) > LARGEST_HEADER or len(all_fields) > MOST_FIELDS:
        found.add("limit-headers")
    mailboxes = {who: [value(field) for field in all_fields if name(field) == who] for who in (b"from", b"sender")}
    if len(mailboxes[b"from"]) != 1 or not all(map(is_mailbox, mailboxes[b"from"])):
        found.add("from-ambiguous")
    if len(mailboxes[b"sender"]) > 1 or not all(map(is_mailbox, mailboxes[b"sender"])):
        found.add("sender-ambiguous")
    if any(names.count(once) > 1 for once in SINGLETONS):
        found.add("duplicate-header")
    if any(not re.match(rb"[!-9;-~]+:", field) for field in all_fields) or re.search(rb"\n[ \t]+\r\n", header):
        found.add("header-malformed")
    return found
