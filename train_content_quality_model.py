"""`python train_content_quality_model.py`, as the command was called before: `python -m models_ml.train quality`."""

import sys

from models_ml.train import main

if __name__ == "__main__":
    sys.exit(main(["quality", *sys.argv[1:]]))
