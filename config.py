"""Every setting of PopOff, read from the environment here and nowhere else.

`.env.example` lists the same settings with their defaults and units; a test keeps the two equal.
Code reads `config.current().name`; tests change a setting with `config.override(name=value)`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any


class SettingError(ValueError):
    """A setting in the environment cannot be read; the message names it and says what it takes."""


def setting(name: str, default: object, *, help: str) -> Any:  # noqa: A002 - the word operators know
    """A field that is read from the environment variable `name`."""
    return field(default=default, metadata={"env": name, "help": help})


@dataclass(frozen=True, kw_only=True)
class Settings:
    # where it runs
    home: Path = setting(
        "POPOFF_HOME", Path("./var"), help="data folder: embedded database, redis, media, keys, models"
    )
    host: str = setting("HOST", "127.0.0.1", help="address the web server binds")
    port: int = setting("PORT", 8000, help="port of the web server; the embedded services take free ports of their own")
    public_url: str = setting("PUBLIC_URL", "", help="address people reach us at; empty: taken from each request")
    environment: str = setting("POPOFF_ENV", "development", help="development | production (JSON logs, secure cookies)")
    log_level: str = setting("LOG_LEVEL", "INFO", help="DEBUG | INFO | WARNING | ERROR")
    secret_key: str = setting(
        "SECRET_KEY", "", help="signs sessions and links; empty: made once and kept in the data folder"
    )
    trusted_proxies: int = setting(
        "TRUSTED_PROXIES", 0, help="number of reverse proxies in front whose X-Forwarded-* we believe"
    )
    web_workers: int = setting("WEB_WORKERS", 2, help="web server processes")
    web_threads: int = setting("WEB_THREADS", 4, help="threads in each web server process")
    media_workers: int = setting("MEDIA_WORKERS", 1, help="worker processes that transcode, and then watch films")
    job_workers: int = setting("JOB_WORKERS", 1, help="worker processes for everything else")

    demo: str = setting(
        "POPOFF_DEMO", "auto", help="on | off | auto: demo accounts and clips where the database is embedded"
    )

    # the three engines; each is embedded when its setting is empty
    database_url: str = setting("DATABASE_URL", "", help="PostgreSQL 15 to 18 with pgvector; empty: embedded")
    redis_url: str = setting("REDIS_URL", "", help="Redis or Valkey; empty: embedded")
    s3_bucket: str = setting("S3_BUCKET", "", help="bucket of the object store; empty: a folder under the data folder")
    s3_endpoint_url: str = setting("S3_ENDPOINT_URL", "", help="S3 endpoint; empty: AWS")
    s3_region: str = setting("S3_REGION", "us-east-1", help="S3 region")
    s3_access_key_id: str = setting("S3_ACCESS_KEY_ID", "", help="empty: the usual AWS credential chain")
    s3_secret_access_key: str = setting("S3_SECRET_ACCESS_KEY", "", help="empty: the usual AWS credential chain")
    database_pool: int = setting("DATABASE_POOL", 5, help="connections each process keeps")

    # accounts
    token_days: int = setting("TOKEN_DAYS", 60, help="days after its last use at which a token expires")
    deletion_grace_days: int = setting("DELETION_GRACE_DAYS", 14, help="days in which a deleted account can come back")
    login_free_failures: int = setting("LOGIN_FREE_FAILURES", 5, help="wrong logins before waiting starts")
    rate_limit: str = setting("RATE_LIMIT", "600/minute", help="requests one person or address may make")
    signup_rate_limit: str = setting("SIGNUP_RATE_LIMIT", "30/hour", help="accounts one address may register")

    # uploads and transcoding
    max_upload_bytes: int = setting("MAX_UPLOAD_BYTES", 2 * 1024**3, help="largest source file, bytes")
    max_duration_seconds: int = setting("MAX_DURATION_SECONDS", 600, help="longest source, seconds")
    max_source_pixels: int = setting("MAX_SOURCE_PIXELS", 7680 * 4320, help="largest frame of a source, pixels")
    upload_expiry_seconds: int = setting("UPLOAD_EXPIRY_SECONDS", 3600, help="life of a signed upload link, seconds")
    link_expiry_seconds: int = setting("LINK_EXPIRY_SECONDS", 6 * 3600, help="life of a signed playback link, seconds")
    ffmpeg_path: str = setting("FFMPEG_PATH", "", help="ffmpeg to use; empty: the one that comes with imageio-ffmpeg")
    ffmpeg_threads: int = setting("FFMPEG_THREADS", 0, help="threads of one ffmpeg; 0: one for each core")
    job_memory_bytes: int = setting("JOB_MEMORY_BYTES", 4 * 1024**3, help="memory one media process may take, bytes")
    job_attempts: int = setting("JOB_ATTEMPTS", 8, help="tries of a job before it counts as failed; 8 take an hour")

    # insight
    openai_api_key: str = setting("OPENAI_API_KEY", "", help="set: embeddings and speech come from this provider")
    openai_base_url: str = setting(
        "OPENAI_BASE_URL", "", help="any OpenAI-compatible server; set: used even without a key"
    )
    openai_embedding_model: str = setting("OPENAI_EMBEDDING_MODEL", "text-embedding-3-small", help="embedding model")
    openai_speech_model: str = setting(
        "OPENAI_SPEECH_MODEL", "", help="transcription model; empty: speech is not transcribed"
    )

    # models
    models_path: str = setting(
        "MODELS_PATH", "", help="folder of models trained here, one for all hosts; empty: models under the data folder"
    )

    # audit log
    audit_key: str = setting(
        "AUDIT_KEY",
        "",
        help="signs checkpoints of the audit log, 64 hexadecimal digits; empty: made once and kept in the data folder",
    )
    audit_pseudonym_key: str = setting(
        "AUDIT_PSEUDONYM_KEY",
        "",
        help="names people in the audit log, 64 hexadecimal digits; empty: made once and kept in the data folder",
    )

    # the creator economy; money is in minor units (cents)
    currency: str = setting("CURRENCY", "EUR", help="ISO 4217 code of the one currency of all amounts")
    daily_gift_limit: int = setting(
        "DAILY_GIFT_LIMIT", 200_000, help="what one person may give in a day (UTC), minor units"
    )
    ad_pool: int = setting("AD_POOL", 1_000_000, help="advertisement money of a period, minor units")
    creator_fund: int = setting("CREATOR_FUND", 2_000_000, help="creator fund of a period, minor units")
    gift_share: int = setting("GIFT_SHARE", 40, help="the creators' part of gifts, percent")
    ad_share: int = setting("AD_SHARE", 30, help="the creators' part of the advertisement money, percent")
    fund_share: int = setting("FUND_SHARE", 30, help="the creators' part of the creator fund, percent")
    fund_min_views: int = setting(
        "FUND_MIN_VIEWS", 1, help="views in a period from which a post shares in the creator fund, at least 1"
    )
    payout_minimum: int = setting("PAYOUT_MINIMUM", 1_000, help="smallest payout, minor units")
    payout_debtor_name: str = setting(
        "PAYOUT_DEBTOR_NAME", "", help="holder of the account that pays; name and IBAN set: bank files in pain.001, too"
    )
    payout_debtor_iban: str = setting("PAYOUT_DEBTOR_IBAN", "", help="IBAN of the account that pays")
    payout_debtor_bic: str = setting("PAYOUT_DEBTOR_BIC", "", help="BIC of its bank; empty: the IBAN is enough")
    payments_provider: str = setting(
        "PAYMENTS_PROVIDER", "auto", help="sandbox (nobody is charged) | manual | auto: sandbox unless in production"
    )
    payments_webhook_secret: str = setting(
        "PAYMENTS_WEBHOOK_SECRET", "", help="signs what the provider tells us; empty: made from SECRET_KEY"
    )

    # moderation
    report_threshold: int = setting(
        "REPORT_THRESHOLD", 3, help="distinct reporters after which a post is hidden until reviewed"
    )

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def store_folder(self) -> Path:
        """Where the folder store keeps objects when no bucket is set."""
        return self.home / "media"

    @property
    def models_folder(self) -> Path:
        """Where the models are kept that were trained here."""
        return Path(self.models_path) if self.models_path else self.home / "models"


def from_env(environ: Mapping[str, str]) -> Settings:
    """Settings as `environ` has them; an empty value counts as not set.

    Raises SettingError for a value of the wrong kind.
    """
    values: dict[str, Any] = {}
    for f in fields(Settings):
        raw = environ.get(f.metadata["env"], "").strip()
        if raw:
            values[f.name] = _convert(f.metadata["env"], raw, f.default)
    chosen = Settings(**values)
    return replace(chosen, home=chosen.home.expanduser().resolve())


def _convert(name: str, raw: str, default: object) -> object:
    if isinstance(default, Path):
        return Path(raw)
    if isinstance(default, int):
        try:
            return int(raw)
        except ValueError:
            raise SettingError(f"{name} takes a whole number, not {raw!r}") from None
    return raw


PROJECT = Path(__file__).resolve().parent
"""Where the project's own files are (migrations)."""


def database_url(settings: Settings) -> str:
    """DATABASE_URL in the form SQLAlchemy takes, whatever form the provider gave it in. Raises SettingError."""
    url = settings.database_url
    if not url:
        raise SettingError("DATABASE_URL is not set: use `popoff run`, which starts a database, or set it")
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise SettingError("DATABASE_URL must name a PostgreSQL database: postgresql://...")
    return f"postgresql+psycopg://{rest}"


_current: Settings | None = None


def use(settings: Settings) -> None:
    """Make these the settings of this process."""
    global _current
    _current = settings


def current() -> Settings:
    """The settings of this process, read from its environment on first use."""
    global _current
    if _current is None:
        _current = from_env(os.environ)
    return _current


@contextlib.contextmanager
def override(**changes: Any) -> Iterator[Settings]:
    """Other settings for the length of a `with` block (tests, and the runner once its services have addresses)."""
    global _current
    before = current()
    _current = replace(before, **changes)
    try:
        yield _current
    finally:
        _current = before
