"""The ways out of the store's machine: who we are, what we say, and when we try again.

`tls` is how two ends know each other, and `trust` whom this node believes; `conversation`
joins the pure session with the store, with head office and with neighbours alike, and `live`
holds it over a WebSocket. `carrier` moves bytes to where one dials; `uplink` decides when
head office is called, and has a fresh node begin from its checkpoint. `peers` are the store's
other nodes: `lan` is the port where they call, `discovery` how they are found. `stick` is the
exchange by a file. A sale never waits for anything in here.
"""
