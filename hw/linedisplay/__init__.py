"""Customer displays of two lines that take Epson's ESC/POS for displays (DM-D and its many kin).

Sources: command lists in the manuals of several makers, which agree on what is used here. These
displays do not answer: that a line is shown is proven by nothing but the cable.
"""
