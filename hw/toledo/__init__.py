"""Scales that speak Toledo 8217 ("weight only"): Mettler-Toledo 8217, Viva, Ariva, and many others.

Sources: the protocol chapter of the Viva's service manual, and what several independent programs
make of it. [M]: no scale was at hand.
"""
