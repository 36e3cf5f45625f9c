"""Data sets are found, read into frames, and split as their descriptions say."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from models_ml.ranking import data


@pytest.fixture
def microlens(tmp_path):
    folder = tmp_path / "short videos"
    folder.mkdir()
    (folder / "MicroLens-50k_pairs.tsv").write_text("1\t3 1 2 4\n2\t4 3 1\n", encoding="utf-8")
    (folder / "MicroLens-50k_titles.csv").write_text('item,title\n1,"a, b"\n2,c\n3,d\n4,e\n', encoding="utf-8")
    return tmp_path


def test_of_microlens_the_last_is_never_read_and_the_one_before_is_wanted(microlens):
    found = data.find(microlens)
    assert found == {"microlens50k": microlens / "short videos"}
    (split,) = data.SETS["microlens50k"].load(found["microlens50k"])
    assert split.events.to_numpy().tolist() == [[1, 3], [1, 1], [2, 4]]
    assert split.wanted.to_numpy().tolist() == [[1, 2], [2, 3]]
    assert split.items.title.tolist() == ["a, b", "c", "d", "e"]
    assert split.now is None and split.sequel is None


def kuairand(folder, rows):
    columns = ["user_id", "video_id", "time_ms", "label"]
    events = pd.DataFrame(rows, columns=columns).assign(play_time_ms=1, duration_ms=2, is_comment=0, is_forward=0)
    events.to_parquet(folder / "train.parquet")
    liked = events.loc[events.label == 1, "video_id"].unique()
    pd.DataFrame({"video_id": liked, "duration_ms": 2}).to_parquet(folder / "catalog.parquet")


def test_kuairand_is_split_by_time_and_later_likes_of_what_is_new_to_the_person_are_wanted(tmp_path):
    noon = 1_650_000_000_000
    before = [(1, 10, noon, 1), (1, 99, noon + 1000, 0)] + [(2, 20 + i, noon + 2000, 1) for i in range(16)]
    kuairand(tmp_path, [(1, 20, noon + 9000, 1), (1, 10, noon + 8000, 1), *before])
    (split,) = data.kuairand(tmp_path)
    assert len(split.events) == 18
    assert split.events[["like", "hate"]].to_numpy()[:2].tolist() == [[True, False], [False, True]]
    assert split.now == noon / 1000 + 8
    assert split.sequel.item_id.tolist() == [10, 20]
    assert split.wanted.to_numpy().tolist() == [[1, 20]]
    assert 99 not in set(split.items.item_id)
    assert set(data.liked_so_far(split).item_id) == {10, *range(20, 36)}


def test_tiktok_is_read_from_matrices_and_from_lists_alike(tmp_path):
    parts = {"trn": [(0, 1), (1, 0)], "val": [(0, 2)], "tst": [(1, 2), (1, 3)]}
    folders = [tmp_path / "matrices", tmp_path / "lists"]
    for folder in folders:
        folder.mkdir()
    for (part, pairs), listing in zip(parts.items(), ("train", "val", "test"), strict=True):
        people, posts = np.array(pairs).T
        matrix = sparse.coo_matrix((np.ones(len(pairs)), (people, posts)), shape=(2, 5))
        (folders[0] / f"{part}Mat.pkl").write_bytes(pickle.dumps(matrix))
        lists = {str(person): [post for who, post in pairs if who == person] for person, _ in pairs}
        (folders[1] / f"{listing}.json").write_text(json.dumps(lists), encoding="utf-8")
    for folder in folders:
        assert data.find(folder) == {"tiktok_mmssl": folder}
        validation, test = data.tiktok(folder)
        assert validation.events.to_numpy().tolist() == [[0, 1], [1, 0]]
        assert validation.wanted.to_numpy().tolist() == [[0, 2]]
        assert test.wanted.to_numpy().tolist() == [[1, 2], [1, 3]]


def test_a_pickle_that_is_no_matrix_runs_nothing(tmp_path):
    (tmp_path / "trnMat.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(pickle.UnpicklingError, match="no place"):
        data.tiktok(tmp_path)


def test_a_folder_without_data_has_none(tmp_path):
    assert data.find(tmp_path) == {}
