"""What the tools set up around the real binary: DNS, a sink, Postfix, the server itself, an SMTP client.

Everything listens on free ports of 127.0.0.1, lives in a directory that the tool gives, and ends with its context.
Nothing is ended by name: only what was started here, by its process id.
"""
