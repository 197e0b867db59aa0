"""ECR-EFT: the protocol Polish makers of cash registers and acquirers share, TCP or serial.

Source: the table of contents of ECR-EFT 1.3 (FROB, 2016) and what the independent terminal
`hurufu/frobd` does. Checked against the simulator and the vectors of that terminal only.
[M] marks what the official text or a real terminal must confirm; above all the question
`S1` of type `C`, which is sent only where `status_query = "yes"` says that it was tried.

`codec`: frames and messages; `session`: a connection and its acknowledgements; `driver`;
`simulator`.
"""
