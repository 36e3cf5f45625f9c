"""Tables of the feed domain: where posts are in the space of meanings, what each person likes and does not want, what
was shown to whom, and which order is on trial."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import JSONB

from popoff.kernel.db import Base

DIMENSION = 256


class PostVector(Base):
    """What a post is about: a unit vector of one insight model (none for a post without words), and a category."""

    __tablename__ = "post_vectors"

    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    vector: orm.Mapped[np.ndarray | None] = orm.mapped_column(VECTOR(DIMENSION))
    category: orm.Mapped[str]
    model: orm.Mapped[str]
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (
        sa.Index(
            "ix_post_vectors_nearest",
            "vector",
            postgresql_using="hnsw",
            postgresql_ops={"vector": "vector_ip_ops"},
        ),
        sa.Index("ix_post_vectors_category", "category"),
    )


class PersonInterests(Base):
    """A person's interests as groups of vectors with weights, and what they met last (`rules.Recent`), in one row so
    that learning locks one row."""

    __tablename__ = "person_interests"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    model: orm.Mapped[str]
    vectors: orm.Mapped[bytes] = orm.mapped_column(sa.LargeBinary)
    groups: orm.Mapped[list[dict[str, Any]]] = orm.mapped_column(JSONB)
    recent: orm.Mapped[bytes] = orm.mapped_column(sa.LargeBinary, server_default=sa.text("''::bytea"))
    updated_at: orm.Mapped[datetime]


class TrendingPost(Base):
    """Posts that do well now, as a worker keeps finding out; the feed reads the top of it."""

    __tablename__ = "trending_posts"

    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    score: orm.Mapped[float] = orm.mapped_column(sa.Double, index=True)


class OwedPost(Base):
    """New posts that have not had the audience yet that each is promised; `shuffle` gives each its turn."""

    __tablename__ = "owed_posts"

    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    shuffle: orm.Mapped[float] = orm.mapped_column(sa.Double, server_default=sa.func.random(), index=True)
    since: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())


class Impression(Base):
    """A place of a page, and what stood in it. `seen_at`: when the person had it before their eyes.

    `position`: from 0 on over all pages of a session; `source`: why it was there (`rules.Kind`); `ranker`: what put it
    in order; `pool`: for a place that explores the posts that it was drawn from, each with the same chance. No foreign
    keys: each page would lock the rows of popular posts, and what is left of a deleted post says nothing about anybody.
    """

    __tablename__ = "impressions"

    page_id: orm.Mapped[UUID] = orm.mapped_column(primary_key=True)
    position: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    session_id: orm.Mapped[UUID] = orm.mapped_column(index=True)
    user_id: orm.Mapped[int]
    post_id: orm.Mapped[int] = orm.mapped_column(index=True)
    source: orm.Mapped[str]
    ranker: orm.Mapped[str]
    pool: orm.Mapped[list[int] | None] = orm.mapped_column(sa.ARRAY(sa.BigInteger))
    served_at: orm.Mapped[datetime]
    seen_at: orm.Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint("position >= 0", name="position"),
        sa.Index("ix_impressions_of_person", "user_id", "post_id"),
        # No BRIN: what is old goes, what is new takes its place in the table, and soon each part has some of all times.
        sa.Index("ix_impressions_served", "served_at"),
    )


class ImpressionTally(Base):
    """Impressions that are too old to be kept one by one, counted."""

    __tablename__ = "impression_tallies"

    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    source: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    served: orm.Mapped[int]
    seen: orm.Mapped[int]

    __table_args__ = (sa.CheckConstraint("seen >= 0 AND served >= seen", name="seen_was_served"),)


class Dismissal(Base):
    """A person is not interested in a post: it is not shown to them again."""

    __tablename__ = "dismissals"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    post_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.Index("ix_dismissals_recent", "created_at", postgresql_using="brin"),)


class MutedCreator(Base):
    """A creator whom a person does not want in their feed; nothing else between the two changes."""

    __tablename__ = "muted_creators"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    creator_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.CheckConstraint("user_id <> creator_id", name="not_oneself"),)


class MutedWord(Base):
    """A word, or a few, that a person does not want to read in their feed; in lower case."""

    __tablename__ = "muted_words"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    word: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())


class Experiment(Base):
    """Two rankers on trial: of all people the `share` (0..1) whom a hash of name and person picks get `challenger`."""

    __tablename__ = "feed_experiments"

    name: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    challenger: orm.Mapped[str]
    share: orm.Mapped[float] = orm.mapped_column(sa.Double)
    started_at: orm.Mapped[datetime]
    ended_at: orm.Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint("share > 0 AND share < 1", name="share"),
        sa.Index(
            "uq_feed_experiments_running",
            sa.text("(ended_at IS NULL)"),
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
        ),
    )
