"""A bank's terminal without a cable: the cashier keys the amount in, and says what came of it.

`codec`: what the cashier is asked, in words, and what may be typed; `driver`; `simulator`:
such a terminal, and a cashier who reads Karb's screen.
"""
