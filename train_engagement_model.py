"""`python train_engagement_model.py`, as the command was called before: `python -m models_ml.train engagement`."""

import sys

from models_ml.train import main

if __name__ == "__main__":
    sys.exit(main(["engagement", *sys.argv[1:]]))
