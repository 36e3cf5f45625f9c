"""Models that measure: content quality, engagement, anomaly, ranking. Arrays and DataFrames in, scores and reasons out.

A library of its own: it knows no Flask, no database, no queue and nothing of `popoff`. Each model has a folder with its
measurements, its training and its scoring; `registry` keeps trained models with their cards.

    python -m models_ml.train quality|engagement|anomaly|ranking
    python -m models_ml.evaluate
    python -m models_ml.ranking.evaluate --data DIR
    python -m models_ml.ranking.simulate
"""
