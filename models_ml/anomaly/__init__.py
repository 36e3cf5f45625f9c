"""Which gifts look like fraud, how sure that is, and why.

`simulate` makes economies where the truth is known; `features` measures gifts from what was known when they were made;
`train` learns from the former, `score.judge` answers for frames of features, `evaluate` asks about kinds of fraud that
the model was never shown.
"""
