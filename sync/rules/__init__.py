"""The sums everyone must compute alike: money, VAT, promotions, barcodes.

A till, head office and a report that disagree by a grosz are all wrong, so each sum
stands here once. Pure functions over ints and text; imports `sync.errors` and the
rules' own modules, nothing else of ours.
"""
