"""The catalogue: what head office sells, for how much, from when.

`article` is one row as everybody downstream gets it, `columns` reads one cell of a
spreadsheet or one value of JSON, `importer` reads a whole file or names everything
that is wrong with it. All three are pure; they import `sync` and each other. `publish` makes facts
of rows, and `rates` of what a VAT code means from a day on.
"""
