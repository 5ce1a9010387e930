//! Limits: what anybody may ask of the server, each met over the wire, and who is served when much is in use.
