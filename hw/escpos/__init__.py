"""ESC/POS receipt printers (Epson's language, spoken by most makes).

How a job is proven: the printer echoes a process id (`GS ( H`) once everything before it
has been printed. No echo, no proof: the outcome is `Unknown`. Before a job its status is
asked (`DLE EOT`); what it reports there is the only ground on which a job is `Refused`
while connected. Printers without `GS ( H` (TM-T88III, many clones) can therefore print,
but never confirm.
"""
