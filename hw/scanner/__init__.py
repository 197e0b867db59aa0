"""Scanners that type codes onto a serial line (RS-232, or USB in COM mode)."""
