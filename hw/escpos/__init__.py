"""ESC/POS receipt printers (Epson's language, spoken by most makes).

How a job is proven: the printer echoes a process id (`GS ( H`) once everything before it
has been printed. No echo, no proof: the outcome is `Unknown`. Before a job its status is
asked (`DLE EOT`); what it reports there is the only ground on which a job is `Refused`
while connected. Printers without `GS ( H` (many clones) print, but never confirm, unless the
option `proof` says to take the answer to `GS r` for it: it comes in its turn, too, but does not
say after which job. The command reference allows that last lines are still in the print buffer
then [M], so it proves less.

`raster` makes pictures for what a model cannot print: Polish letters, QR codes; and the logo.
"""
