"""The local embedding: stable, fast, and near for what belongs together."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.adapters.insight import DIMENSION, PostText
from popoff.adapters.insight.local import VERSION, LocalInsight, _axis
from popoff.adapters.insight.topics import LABELS
from tests.unit.insight.captions import CAPTIONS, UNKNOWN

INTEREST_THRESHOLD = 0.55  # of the rule that matches a post with a person's interests

local = LocalInsight()


def cosine(left: str, right: str) -> float:
    a, b = local.embed([left, right])
    return float(a @ b)


def test_shape_and_kind():
    rows = local.embed(["pasta", "cats"])
    assert rows.shape == (2, DIMENSION)
    assert rows.dtype == np.float32
    assert local.embed([]).shape == (0, DIMENSION)
    assert local.dimension == DIMENSION
    assert local.transcribe(None) is None


@pytest.mark.parametrize(
    "text", ["", "   ", "the and of", "#fyp #viral", "https://a.example/x @someone", "!?…", "✨🔥", "3"]
)
def test_texts_without_content_get_zero_rows(text):
    assert not local.embed([text]).any()


@given(st.text(max_size=300), st.lists(st.text(max_size=30), max_size=8))
def test_every_text_gives_a_unit_row_or_a_zero_row(description, tags):
    row = local.embed_posts([PostText(description, tags, description)])[0]
    length = np.linalg.norm(row)
    assert length == pytest.approx(1, abs=1e-5) or length == 0


def test_captions_of_one_topic_reach_the_interest_threshold_and_others_stay_far():
    texts = [(topic, caption) for topic, captions in CAPTIONS.items() for caption in captions]
    rows = local.embed([caption for _, caption in texts])
    cosines = rows @ rows.T
    topic = np.array([name for name, _ in texts])
    same = (topic[:, None] == topic) & ~np.eye(len(texts), dtype=bool)
    different = topic[:, None] != topic
    weak = [(texts[i], texts[j]) for i, j in np.argwhere(same & (cosines < INTEREST_THRESHOLD)) if i < j]
    assert weak == []
    assert cosines[same].mean() > 0.65
    assert abs(cosines[different].mean()) < 0.05
    assert cosines[different].max() < 0.45


def test_shared_words_bring_captions_of_one_topic_nearer():
    assert (
        cosine("puppy learns to swim", "my puppy can swim now") > cosine("puppy learns to swim", "owl at night") + 0.1
    )


def test_words_outside_the_lexicon_count_too():
    assert cosine(UNKNOWN[0], UNKNOWN[1]) > 0.3
    assert abs(cosine(UNKNOWN[0], UNKNOWN[2])) < 0.25


def test_spelling_is_levelled():
    assert cosine("FÚTBOL CALLEJERO", "futbol callejero") == pytest.approx(1, abs=1e-6)
    assert cosine("#streetFood", "#StreetFood") == pytest.approx(1, abs=1e-6)
    assert cosine("ｃａｔ ｖｉｄｅｏ", "cat video") == pytest.approx(1, abs=1e-6)
    assert cosine("zyzzyvas", "zyzzyva") > 0.3


def test_runs_without_spaces_share_pieces():
    assert cosine("量子纠缠态演示", "什么是量子纠缠态") > 0.3
    assert abs(cosine("量子纠缠态演示", "邻居装修噪音")) < 0.2


def test_tags_weigh_more_than_the_caption():
    tagged, caption, tag = local.embed_posts(
        [PostText("zyzzyva plinko", ["blorfing"]), PostText("zyzzyva plinko"), PostText("", ["blorfing"])]
    )
    assert tagged @ tag > tagged @ caption


def test_hashtags_in_the_caption_are_tags():
    inside, beside = local.embed_posts(
        [PostText("zyzzyva plinko #blorfing"), PostText("zyzzyva plinko", ["#blorfing"])]
    )
    np.testing.assert_allclose(inside, beside, atol=1e-6)


def test_long_speech_does_not_drown_the_caption():
    letters = random.Random(1)
    speech = " ".join("".join(letters.sample("bcdfghjklmnprstvaeiou", 7)) for _ in range(600))
    spoken, caption = local.embed_posts(
        [PostText("zyzzyva plinko crumhorn", (), speech), PostText("zyzzyva plinko crumhorn")]
    )
    assert spoken @ caption > 0.5


def test_each_topic_has_a_direction_of_its_own():
    axes = np.array([_axis(i) for i in range(len(LABELS))])
    np.testing.assert_array_equal(axes @ axes.T, DIMENSION * np.eye(len(LABELS)))


def test_a_caption_takes_less_than_two_milliseconds():
    captions = [caption for captions in CAPTIONS.values() for caption in captions]
    local.embed(captions)
    start = time.process_time()
    for _ in range(5):
        local.embed(captions)
    assert (time.process_time() - start) / (5 * len(captions)) < 0.002


def fingerprint() -> str:
    captions = [caption for captions in CAPTIONS.values() for caption in captions]
    return hashlib.sha256(np.round(local.embed(captions) * 1000).astype("<i2").tobytes()).hexdigest()[:16]


def test_same_vectors_in_every_process():
    code = "from tests.unit.insight.test_local import fingerprint; print(fingerprint())"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.getcwd()}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint()


def test_a_change_of_the_vectors_raises_the_version():
    """When this fails: raise VERSION in local.py and put the new fingerprint here; posts are then embedded anew."""
    assert (VERSION, fingerprint()) == (1, "6cd64c5e9fde40c6")
    assert local.model == f"popoff-local-{VERSION}"
