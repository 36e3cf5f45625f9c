"""How well a short film is made: measured, judged in five parts, and explained.

`score.score(path, caption, tags)` gives five scores with reasons; `measure` the numbers they stand on; `train` makes
the model from material that was spoilt in known ways; `evaluate` shows what it does on material that it has not seen.

    python -m models_ml.quality FILE [--caption TEXT]
"""
