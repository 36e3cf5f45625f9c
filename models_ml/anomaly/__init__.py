"""Which gifts look like fraud, how sure that is, and why.

`simulate` makes economies where the truth is known; `features` measures gifts from what was known when they were made;
`learn` learns from the former, and `train` is its command; `score.judge` answers for frames of features; `heldout` and
`evaluate` ask about kinds of fraud that the model was never shown.
"""
