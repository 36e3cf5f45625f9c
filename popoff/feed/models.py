"""Tables of the feed domain: where posts are in the space of meanings, and what each person likes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

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
    """A person's interests as groups of vectors with weights, in one row so that learning locks one row."""

    __tablename__ = "person_interests"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    model: orm.Mapped[str]
    vectors: orm.Mapped[bytes] = orm.mapped_column(sa.LargeBinary)
    groups: orm.Mapped[list[dict[str, Any]]] = orm.mapped_column(JSONB)
    updated_at: orm.Mapped[datetime]


class TrendingPost(Base):
    """Posts that do well now, as a worker keeps finding out; the feed reads the top of it."""

    __tablename__ = "trending_posts"

    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    score: orm.Mapped[float] = orm.mapped_column(sa.Double, index=True)
