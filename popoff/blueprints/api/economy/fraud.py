"""`/fraud`: what people report, and what staff make of it."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from flask import Response
from flask_restx import Namespace
from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, RootModel

from popoff.accounts.rules import Permission, permits
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import money
from popoff.blueprints.api.economy.resource import EconomyResource, PageQuery, page
from popoff.integrity import queries, service
from popoff.integrity.queries import CaseView
from popoff.integrity.rules import CaseState
from popoff.kernel.clock import rfc3339
from popoff.web import auth
from popoff.web.access import needs, signed_in
from popoff.web.parsing import Input, takes, takes_query
from popoff.web.responses import json_response

api = Namespace("fraud", path="/fraud", description="Reports of fraud. Those about one subject make one case.")

Word = BeforeValidator(lambda value: value.casefold() if isinstance(value, str) else value)


class ReportBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    subject: str = Field(
        min_length=1,
        max_length=200,
        validation_alias=AliasChoices("subject", "subjectId"),
        description="Id of a person, a post, a gift or an entry of the audit log.",
    )
    reason: str = Field(min_length=1, max_length=10_000, description="At most 500 characters.")
    description: str = Field("", max_length=100_000, description="At most 5000 characters.")


class Report(BaseModel):
    id: str
    caseId: str
    subject: str
    kind: str = Field(description="PERSON, CONTENT, GIFT or ENTRY.")
    reason: str
    description: str
    state: str = Field(description="OPEN, DISMISSED or UPHELD.")
    createdAt: str


class CaseReport(BaseModel):
    id: str
    reporterId: str | None
    reason: str
    description: str
    createdAt: str


class Case(BaseModel):
    id: str
    subject: str
    kind: str
    state: str
    openedAt: str
    decidedAt: str | None
    decidedBy: str | None
    decisionReason: str | None
    reports: list[CaseReport] = Field(description="The oldest first.")


class Cases(RootModel[list[Case]]):
    """The newest first."""


class CaseQuery(PageQuery):
    state: Annotated[Literal["open", "dismissed", "upheld"] | None, Word] = Field(
        None, description="OPEN, DISMISSED or UPHELD; all without."
    )


class OutcomeBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    outcome: Annotated[Literal["dismissed", "upheld"], Word] = Field(description="DISMISSED or UPHELD.")
    reason: str = Field(min_length=1, max_length=10_000, description="At most 500 characters.")


@api.route("/")
class Reports(EconomyResource):
    @gives(api, Report, "Reported.", status=201)
    @refuses(
        api,
        s400="invalid, empty_reason, too_long, report_self",
        s403="cross_site_request",
        s404="subject_not_found",
    )
    @signed_in
    @takes(ReportBody)
    def post(self, body: ReportBody) -> Response:
        """Report a person, a post, a gift or an entry. Reporting it again changes nothing while the case is open."""
        made = service.report(auth.me().user_id, body.subject, body.reason, body.description)
        return json_response(
            {
                "id": made.public_id,
                "caseId": made.case_id,
                "subject": made.subject,
                "kind": made.kind.upper(),
                "reason": made.reason,
                "description": made.description,
                "state": made.state.upper(),
                "createdAt": rfc3339(made.created_at),
            },
            201,
        )


@api.route("/cases/")
class CaseList(EconomyResource):
    @gives(api, Cases, "The newest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor", s403="forbidden")
    @needs(Permission.RAISE_FLAGS)
    @takes_query(CaseQuery)
    def get(self, query: CaseQuery) -> Response:
        """What was reported."""
        state = None if query.state is None else CaseState(query.state)
        found, next_cursor = queries.cases(state, query.cursor, query.limit)
        return page(_rows(found), next_cursor)


@api.route("/cases/<string:case_id>/decision/")
class Decision(EconomyResource):
    @gives(api, Case, "Decided.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, own_matter, cross_site_request",
        s404="case_not_found",
    )
    @needs(Permission.RAISE_FLAGS)
    @takes(OutcomeBody)
    def post(self, body: OutcomeBody, case_id: str) -> Response:
        """Close a case. Upheld, the gift or entry it is about is flagged, which takes who may decide flags."""
        me = auth.me()
        decided = service.decide_case(
            case_id,
            CaseState(body.outcome),
            by=me.user_id,
            reason=body.reason,
            may_flag=permits(me.role, Permission.DECIDE_FLAGS),
        )
        return json_response(_rows([decided])[0])


def _rows(found: Sequence[CaseView]) -> list[dict[str, Any]]:
    ids = [case.decided_by for case in found] + [report.reporter_id for case in found for report in case.reports]
    named = money.refs(ids)
    return [
        {
            "id": case.public_id,
            "subject": case.subject,
            "kind": case.kind.upper(),
            "state": case.state.upper(),
            "openedAt": rfc3339(case.opened_at),
            "decidedAt": None if case.decided_at is None else rfc3339(case.decided_at),
            "decidedBy": named[case.decided_by],
            "decisionReason": case.decision_reason,
            "reports": [
                {
                    "id": report.public_id,
                    "reporterId": named[report.reporter_id],
                    "reason": report.reason,
                    "description": report.description,
                    "createdAt": rfc3339(report.created_at),
                }
                for report in case.reports
            ],
        }
        for case in found
    ]
