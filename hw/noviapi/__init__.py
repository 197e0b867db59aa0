"""NoviAPI fiscal printers (Novitus POINT, HD II, Deon, Bono, INFIS, all ONLINE), over HTTP.

Source: NoviApi 1.0.4 (10.02.2026), the OpenAPI document of noviapi.novitus.pl. Checked
against the simulator here, and the simulator against an independent client
(`novitus-noviapi` on PyPI); [M] marks what the document leaves open and a real printer must
confirm.

An order is two requests: `POST` stores it and gives its id, `PUT` of the id has it done. What
was stored and never confirmed is never printed, so only the `PUT` has to be noted first; and
the id can be asked about ever after.

`codec`: receipts as JSON, answers as values; `driver`; `machine`: the simulated printer
without its network; `simulator`.
"""
