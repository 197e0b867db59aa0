"""Scanners that pretend to be keyboards (USB HID), heard by us alone.

Linux gives their keys as `struct input_event` (Documentation/input/event-codes). The layout is
the US one with the letters of the Polish programmer's: scanners leave the factory with the
first, and the second adds to it.
"""
