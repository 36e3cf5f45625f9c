"""Statements as files, and explained to the last cent."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.money import to_text
from popoff.media.models import Post
from popoff.rewards import checks, explanations, gifts, queries, statements
from popoff.rewards.models import Gift, Period
from popoff.rewards.queries import StatementView
from tests.support.rewards import END, close, give, person, post_of, score, statement_of, watch


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    return person("ada")


@pytest.fixture
def posts(ada: User) -> list[Post]:
    return [post_of(ada, "=HYPERLINK(1)"), post_of(ada, "日本語のタイトル"), post_of(ada, "Plain & <simple>")]


@pytest.fixture
def made(ada: User, posts: list[Post]) -> tuple[Period, list[Gift]]:
    eve, bela = person("eve", money=100_000), person("bela")
    others = post_of(bela)
    given = [give(eve, post, cents) for post, cents in zip(posts, (1_001, 33, 7), strict=True)]
    for number, post in enumerate([*posts, others]):
        score(post, 10 * number + 3, 77)
        watch(eve, post, number + 3)
    return close(), given


@pytest.fixture
def view(made: tuple[Period, list[Gift]], ada: User) -> StatementView:
    return queries.statement(statement_of(ada, made[0]).public_id, creator_id=ada.id)


def test_a_statement_is_its_owners(view: StatementView) -> None:
    with pytest.raises(NotFound):
        queries.statement(view.statement.public_id, creator_id=view.statement.creator_id + 1)


def test_the_csv_sums_to_the_statement(view: StatementView, posts: list[Post]) -> None:
    rows = list(csv.DictReader(io.StringIO(statements.as_csv(view).decode())))
    *content, total = rows
    assert [row["content"] for row in content] == [str(post.public_id) for post in posts]
    assert sum(Decimal(row["total"]) for row in content) == Decimal(total["total"])
    assert total["total"] == to_text(view.statement.total)
    for amount in ("gifts_received", "gift_reward", "ad_revenue", "fund_reward"):
        assert sum(Decimal(row[amount]) for row in content) == Decimal(total[amount])
    assert [Decimal(row["watch_seconds"]) * 1000 for row in content] == [line.watch_ms for line in view.lines]
    assert content[0]["title"] == "'=HYPERLINK(1)" and content[1]["title"] == "日本語のタイトル"


def test_the_pdf_is_the_same_each_time(view: StatementView) -> None:
    pdf = statements.as_pdf(view, "Ada Lovelace")
    assert pdf.startswith(b"%PDF") and pdf == statements.as_pdf(view, "Ada Lovelace")


def test_every_cent_is_explained(view: StatementView, made: tuple[Period, list[Gift]]) -> None:
    explained = explanations.explain(view.statement.public_id)
    assert explained.agrees
    text = "\n".join(explained.lines)
    assert f"Total: {to_text(view.statement.total)}, paid" in text
    for gift in made[1]:
        assert gift.public_id in text
    for line in view.lines:
        assert f"paid {to_text(line.fund_reward)}" in text


def test_late_lines_are_explained_and_shown(view: StatementView, made: tuple[Period, list[Gift]], ada: User) -> None:
    gifts.reverse(made[1][0].public_id, by=None, reason="charged back")
    later = person("gus", money=5_000)
    give(later, db.session.get_one(Post, made[1][0].post_id), 5_000, at=END)
    second = close(END, END.replace(month=5))
    late = queries.statement(statement_of(ada, second).public_id)
    assert "reversed after it was paid: -4.01" in "\n".join(explanations.explain(late.statement.public_id).lines)
    assert [row.kind for row in statements.rows(late)] == ["content", "reversal"]
    assert sum(row.total for row in statements.rows(late)) == late.statement.total
    assert statements.as_pdf(late)
    assert explanations.explain(view.statement.public_id).agrees


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reward_lines SET views = views + 1 WHERE post_id = (SELECT max(post_id) FROM reward_lines)",
        "UPDATE reward_lines SET fund_reward = fund_reward + 1 WHERE post_id = (SELECT min(post_id) FROM reward_lines)",
        "DELETE FROM reward_lines WHERE post_id = (SELECT min(post_id) FROM reward_lines)",
        "UPDATE reward_statements SET gift_reward = gift_reward + 1, total = total + 1",
    ],
)
def test_what_somebody_with_the_database_changes_is_found(view: StatementView, change: str) -> None:
    with db.session.begin_nested() as tampering:
        for table in ("reward_lines", "reward_statements"):
            db.session.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER append_only"))
        db.session.execute(sa.text(change))
        db.session.expire_all()
        assert not explanations.explain(view.statement.public_id).agrees
        assert checks.check() or "views" in change
        tampering.rollback()
