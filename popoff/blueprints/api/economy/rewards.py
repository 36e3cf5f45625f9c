"""`/reward`: what creators earn, and their statements."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from flask import Response
from flask_restx import Namespace
from pydantic import BaseModel, Field, RootModel

import config
from popoff.accounts import queries as accounts
from popoff.accounts.rules import Permission
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import money
from popoff.blueprints.api.economy.resource import EconomyResource
from popoff.kernel.clock import rfc3339
from popoff.rewards import periods, queries, statements
from popoff.rewards.queries import Breakdown, ContentReward, StatementView
from popoff.scoring import queries as scoring
from popoff.web import auth
from popoff.web.access import needs, signed_in
from popoff.web.parsing import Input, Moment, takes
from popoff.web.responses import json_response

api = Namespace("reward", path="/reward", description="What creators earn. Everybody sees their own.")


class Total(BaseModel):
    totalRewards: float = Field(description="All that was earned: `settled` and `estimated` together.")
    settled: float = Field(description="What statements have paid, to the cent.")
    estimated: float = Field(description="What closing the open period now would pay; nothing of it is promised.")
    currency: str


class ContentLine(BaseModel):
    contentId: str | None = Field(description="null for a post that is gone.")
    title: str
    giftReward: float
    adRevenue: float
    fundReward: float
    totalReward: float
    estimated: float = Field(description="How much of the total is of the open period.")
    percentageOfTotal: float = Field(description="0 to 100.")


class Rewards(BaseModel):
    totalReward: float = Field(description="The sum over `contentBreakdown`, and the total of `/total`.")
    totalGifts: float = Field(description="All that was given; the creator's part of it is `giftReward`.")
    giftReward: float
    adPool: float = Field(description="The creator's share of the advertisement money.")
    creatorFund: float = Field(description="The creator's share of the fund.")
    settled: float
    estimated: float
    averageEngagementScore: float = Field(description="0 to 100.")
    currency: str
    openSince: str = Field(description="When the open period began.")
    contentBreakdown: list[ContentLine]


class Statement(BaseModel):
    id: str
    periodStart: str
    periodEnd: str
    paid: bool = Field(description="Whether the money is in the wallet.")
    totalGifts: float
    giftReward: float
    adRevenue: float
    fundReward: float
    late: float = Field(description="Gifts of earlier periods: released, or taken back.")
    total: float
    currency: str


class Statements(RootModel[list[Statement]]):
    """The latest first."""


class StatementLine(BaseModel):
    contentId: str | None
    title: str
    kind: str = Field(description="content, release or reversal.")
    gifts: float
    views: int
    watchTime: float = Field(description="Seconds.")
    score: float | None = Field(description="0 to 100, as it was when the period was closed.")
    giftReward: float
    adRevenue: float
    fundReward: float
    total: float


class Terms(BaseModel):
    adPool: float
    creatorFund: float
    giftShare: int = Field(description="Percent.")
    adShare: int = Field(description="Percent.")
    fundShare: int = Field(description="Percent.")
    inputs: str | None = Field(description="SHA-256 of all that counted, which the audit log has, too.")


class FullStatement(Statement):
    terms: Terms
    lines: list[StatementLine]


class PeriodBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    start: Moment = Field(alias="from", description="RFC 3339.")
    end: Moment = Field(alias="to", description="RFC 3339, not included; one to come means now.")
    ad_pool: money.Amount | None = Field(None, alias="adPool", description="AD_POOL without.")
    creator_fund: money.Amount | None = Field(None, alias="creatorFund", description="CREATOR_FUND without.")


class Period(BaseModel):
    id: str
    periodStart: str
    periodEnd: str
    state: str = Field(description="closing, frozen (being paid) or closed.")
    adPool: float
    creatorFund: float
    statements: int
    total: float = Field(description="What all statements come to.")
    currency: str


class Periods(RootModel[list[Period]]):
    """The latest first."""


class File(RootModel[str]):
    """A file."""


@api.route("/<uuid:creator_id>/total/", "/total/<uuid:creator_id>/")
class TotalItem(EconomyResource):
    @gives(api, Total, "The sum of the breakdown.")
    @refuses(api, s403="forbidden", s404="user_not_found")
    @signed_in
    def get(self, creator_id: UUID) -> Response:
        """All that a creator earned."""
        earned = queries.breakdown(money.whose(creator_id))
        return json_response({"totalRewards": money.amount(earned.total), **_sums(earned)})


@api.route("/<uuid:creator_id>/breakdown/", "/breakdown/<uuid:creator_id>/")
class BreakdownItem(EconomyResource):
    @gives(api, Rewards, "By where it comes from, and by post.")
    @refuses(api, s403="forbidden", s404="user_not_found")
    @signed_in
    def get(self, creator_id: UUID) -> Response:
        """What a creator earned with which post."""
        user_id = money.whose(creator_id)
        earned = queries.breakdown(user_id)
        return json_response(
            {
                "totalReward": money.amount(earned.total),
                "totalGifts": money.amount(earned.gifts),
                "giftReward": money.amount(earned.gift_reward),
                "adPool": money.amount(earned.ad_revenue),
                "creatorFund": money.amount(earned.fund_reward),
                **_sums(earned),
                "averageEngagementScore": scoring.averages([user_id])[user_id][0],
                "openSince": rfc3339(earned.since),
                "contentBreakdown": [_content(earned, content) for content in earned.contents],
            }
        )


@api.route("/periods/")
class PeriodList(EconomyResource):
    @gives(api, Periods, "The latest first.")
    @refuses(api, s403="forbidden")
    @needs(Permission.READ_MONEY)
    def get(self) -> Response:
        """The periods that were closed, or are being closed."""
        return json_response([_period(period) for period in queries.periods()])

    @gives(api, Period, "It is being closed; asked again, the same period.", status=202)
    @refuses(
        api,
        s400="invalid, invalid_amount, invalid_period",
        s403="forbidden, cross_site_request",
        s409="period_overlaps, period_closing",
    )
    @needs(Permission.DECIDE_PAYOUTS)
    @takes(PeriodBody)
    def post(self, body: PeriodBody) -> Response:
        """Close a period: a job writes its statements and pays them."""
        period = periods.close(
            body.start, body.end, by=auth.me().user_id, ad_pool=body.ad_pool, creator_fund=body.creator_fund
        )
        return json_response(_period(period), 202)


@api.route("/statements/")
class OwnStatements(EconomyResource):
    @gives(api, Statements, "The latest first.")
    @signed_in
    def get(self) -> Response:
        """Your statements, one for each period in which you earned."""
        return json_response(_statements(auth.me().user_id))


@api.route("/<uuid:creator_id>/statements/")
class StatementList(EconomyResource):
    @gives(api, Statements, "The latest first.")
    @refuses(api, s403="forbidden", s404="user_not_found")
    @signed_in
    def get(self, creator_id: UUID) -> Response:
        """The statements of a creator."""
        return json_response(_statements(money.whose(creator_id)))


@api.route("/statements/<string:statement_id>/")
class StatementItem(EconomyResource):
    @gives(api, FullStatement, "The statement with its lines.")
    @refuses(api, s404="statement_not_found")
    @signed_in
    def get(self, statement_id: str) -> Response:
        """A statement: what counted of each post, and what it earned."""
        view = _readable(statement_id)
        period = view.period
        terms = {
            "adPool": money.amount(period.ad_pool),
            "creatorFund": money.amount(period.creator_fund),
            "giftShare": period.gift_share,
            "adShare": period.ad_share,
            "fundShare": period.fund_share,
            "inputs": period.digest,
        }
        lines = [_line(row) for row in statements.rows(view)]
        return json_response(_statement(view.statement, period) | {"terms": terms, "lines": lines})


@api.route("/statements/<string:statement_id>/csv/")
class StatementCsv(EconomyResource):
    @api.produces(["text/csv"])
    @gives(api, File, "UTF-8, with a heading and a last row that sums up.")
    @refuses(api, s404="statement_not_found")
    @signed_in
    def get(self, statement_id: str) -> Response:
        """A statement as CSV."""
        view = _readable(statement_id)
        return download(statements.as_csv(view), "text/csv; charset=utf-8", f"statement-{statement_id}.csv")


@api.route("/statements/<string:statement_id>/pdf/")
class StatementPdf(EconomyResource):
    @api.produces(["application/pdf"])
    @gives(api, File, "A4.")
    @refuses(api, s404="statement_not_found")
    @signed_in
    def get(self, statement_id: str) -> Response:
        """A statement as PDF."""
        view = _readable(statement_id)
        creator_id = view.statement.creator_id
        creator = accounts.by_ids([creator_id]).get(creator_id)
        holder = (creator.name or creator.username) if creator else ""
        return download(statements.as_pdf(view, holder), "application/pdf", f"statement-{statement_id}.pdf")


def download(content: bytes, mimetype: str, name: str) -> Response:
    """A file to keep. `name` is of our making."""
    return Response(content, content_type=mimetype, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _readable(statement_id: str) -> StatementView:
    """A statement of one's own; any for staff who look after the money. Raises NotFound."""
    return queries.statement(statement_id, creator_id=None if money.reads_money() else auth.me().user_id)


def _sums(earned: Breakdown) -> dict[str, Any]:
    return {
        "settled": money.amount(earned.settled),
        "estimated": money.amount(earned.estimated),
        "currency": config.current().currency,
    }


def _content(earned: Breakdown, content: ContentReward) -> dict[str, Any]:
    return {
        "contentId": str(content.name.public_id) if content.name else None,
        "title": content.name.title if content.name else "",
        "giftReward": money.amount(content.gift_reward),
        "adRevenue": money.amount(content.ad_revenue),
        "fundReward": money.amount(content.fund_reward),
        "totalReward": money.amount(content.total),
        "estimated": money.amount(content.estimated),
        "percentageOfTotal": round(earned.percentage(content), 2),
    }


def _statements(user_id: int) -> list[dict[str, Any]]:
    return [_statement(statement, period) for statement, period in queries.statements(user_id)]


def _statement(statement: Any, period: Any) -> dict[str, Any]:
    return {
        "id": statement.public_id,
        "periodStart": rfc3339(period.starts_at),
        "periodEnd": rfc3339(period.ends_at),
        "paid": statement.batch < period.batches_paid,
        "totalGifts": money.amount(statement.gifts),
        "giftReward": money.amount(statement.gift_reward),
        "adRevenue": money.amount(statement.ad_revenue),
        "fundReward": money.amount(statement.fund_reward),
        "late": money.amount(statement.late),
        "total": money.amount(statement.total),
        "currency": config.current().currency,
    }


def _period(period: Any) -> dict[str, Any]:
    count, total = queries.paid_by(period.id)
    return {
        "id": period.public_id,
        "periodStart": rfc3339(period.starts_at),
        "periodEnd": rfc3339(period.ends_at),
        "state": period.state,
        "adPool": money.amount(period.ad_pool),
        "creatorFund": money.amount(period.creator_fund),
        "statements": count,
        "total": money.amount(total),
        "currency": config.current().currency,
    }


def _line(row: statements.Row) -> dict[str, Any]:
    return {
        "contentId": row.content or None,
        "title": row.title,
        "kind": row.kind,
        "gifts": money.amount(row.gifts),
        "views": row.views,
        "watchTime": row.watch_ms / 1000,
        "score": None if row.score is None else row.score / 100,
        "giftReward": money.amount(row.gift_reward),
        "adRevenue": money.amount(row.ad_revenue),
        "fundReward": money.amount(row.fund_reward),
        "total": money.amount(row.total),
    }
