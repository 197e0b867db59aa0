"""nexo Retailer 3.0 as Adyen's terminals speak it on the local network (JSON over HTTPS).

Sources, all public: Adyen's Terminal API documentation (*Protect with your own code*, *Verify
transaction status*, *Handle responses*, *Make a diagnosis request*) and the schemas of its
API explorer; the derivation of keys as Adyen's own MIT-licensed libraries do it. Checked
against the simulator here only; [M] marks what a real terminal must confirm.

`codec`: messages; `sealed`: the encrypted envelope; `driver`; `simulator`.
"""
