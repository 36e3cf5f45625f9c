"""`python train_anomaly_model.py`, as the command was called before: `python -m models_ml.train anomaly`."""

import sys

from models_ml.train import main

if __name__ == "__main__":
    sys.exit(main(["anomaly", *sys.argv[1:]]))
