"""The way to head office: who we are, what we say, and when we try again.

`tls` is how the two ends know each other; `conversation`
joins the pure session with the store; `carrier` moves bytes (HTTPS, WebSocket);
`uplink` decides when. A sale never waits for anything in here.
"""
