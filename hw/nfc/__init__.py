"""Cards at an NFC reader: staff badges and loyalty cards, by nfcpy.

A badge says who somebody claims to be, never that it is so: numbers can be copied. What proves it
(a PIN) is asked for elsewhere. The reader stays open for as long as it is plugged in, for some
die of being closed (ACR122U), and nfcpy waits, so it has a thread of its own.
"""
