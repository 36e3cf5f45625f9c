"""The creator economy's routes: JSON, ids that tell no numbers, tokens in a header or in a cookie."""

from __future__ import annotations
