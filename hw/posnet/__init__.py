"""POSNET ONLINE fiscal printers, over TCP or a serial port.

Source: POSNET's "Specyfikacja protokołu POSNET ONLINE", POT-I-DEV-37 ver. 5978 (2.11.2023).
Checked against the simulator here only; [M] marks what the specification leaves open and a
real printer must confirm.

`codec`: frames and receipts as commands; `refusals`: what the error numbers mean; `ladder`:
what became of a receipt whose answer was lost; `driver`; `machine`: the simulated printer
without its cable; `simulator`.
"""
