"""Scales that speak MT-SICS, levels 0 and 1: Mettler-Toledo, and in part Ohaus, Sartorius, Radwag.

Sources: Mettler-Toledo's public reference manual. `mt-sics-emulator` is the judge.
"""
