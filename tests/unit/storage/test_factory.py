from __future__ import annotations

from pathlib import Path

import pytest

import config
from popoff.adapters import storage
from popoff.adapters.storage import BadSignature, FolderStore, S3Store


def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    with config.override(home=tmp_path, s3_bucket="", secret_key="s"):
        assert isinstance(storage.store(), FolderStore)
        assert storage.store() is storage.store()
        storage.store().put_bytes("a/b", b"x", "text/plain")
        assert list((tmp_path / "media").rglob("b~"))
    with config.override(s3_bucket="bucket", s3_endpoint_url="http://127.0.0.1:9"):
        assert isinstance(storage.store(), S3Store)
        assert storage.store() is storage.store()


def test_links_lead_back_the_way_the_request_came(tmp_path: Path) -> None:
    storage.base_url_var.set(None)  # whatever a request of an earlier test left
    with config.override(home=tmp_path, s3_bucket="", secret_key="s", port=8123):
        assert storage.store().sign_get("a", expires_seconds=9).startswith("http://127.0.0.1:8123/media/store/a?")
        token = storage.base_url_var.set("http://192.168.1.7:8123")
        try:
            assert storage.store().sign_get("a", expires_seconds=9).startswith("http://192.168.1.7:8123/media/store/a?")
            with config.override(public_url="https://video.example.org/"):
                link = storage.store().sign_get("a", expires_seconds=9)
                assert link.startswith("https://video.example.org/media/store/a?")
        finally:
            storage.base_url_var.reset(token)


def test_play_links_are_checked_with_the_secret_of_the_settings() -> None:
    with config.override(secret_key="s", public_url="http://h"):
        link = storage.play_link("users/42/x/master.m3u8", "users/42/x")
        grant = link.split("/")[5]
        assert link == f"http://h/media/play/{grant}/users/42/x/master.m3u8"
        assert storage.check_grant(grant, "users/42/x/720p/a.ts") == "users/42/x"
    with config.override(secret_key="other"), pytest.raises(BadSignature):
        storage.check_grant(grant, "users/42/x/720p/a.ts")
