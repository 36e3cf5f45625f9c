"""`/audit`: the log for staff, its flags; and for everybody the proofs that it was not rewritten."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from flask import Response
from flask_restx import Namespace, Resource
from pydantic import BaseModel, BeforeValidator, Field

from popoff.accounts import queries as accounts
from popoff.accounts.rules import Permission
from popoff.audit import queries
from popoff.audit.rules import Checkpoint
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import logs
from popoff.blueprints.api.economy.resource import EconomyResource, PageQuery, page
from popoff.integrity import queries as integrity
from popoff.integrity import service
from popoff.integrity.rules import FlagState
from popoff.kernel.clock import rfc3339
from popoff.kernel.errors import NotFound
from popoff.web import auth
from popoff.web.access import needs, public
from popoff.web.parsing import Input, Moment, takes, takes_query
from popoff.web.responses import json_response

api = Namespace("audit", path="/audit", description="The audit log, and proofs about it that need no account.")

Word = BeforeValidator(lambda value: value.casefold() if isinstance(value, str) else value)


class LogQuery(PageQuery):
    action: Annotated[str | None, Word] = Field(
        None, max_length=64, description="Such as SEND_GIFT; with a dot at its end everything that begins so."
    )
    user: UUID | None = Field(None, description="Public id of who did it.")
    subject: str | None = Field(None, max_length=128, description="Id of what it is about.")
    since: Moment | None = Field(None, description="RFC 3339.")
    until: Moment | None = Field(None, description="RFC 3339, not included.")


class FlaggedQuery(PageQuery):
    state: Annotated[Literal["open", "cleared", "confirmed"] | None, Word] = Field(
        None, description="OPEN, CLEARED or CONFIRMED: only entries with such a flag."
    )


class FlagBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    reason: str = Field(min_length=1, max_length=10_000, description="At most 500 characters.")
    description: str = Field("", max_length=100_000, description="At most 5000 characters.")


class DecisionBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    outcome: Annotated[Literal["cleared", "confirmed"], Word] = Field(description="CLEARED or CONFIRMED.")
    reason: str = Field(min_length=1, max_length=10_000, description="At most 500 characters.")


class Scan(BaseModel):
    count: int = Field(description="Gifts looked at: those of the last seven days.")
    anomalies_detected: int = Field(description="How many of them look wrong.")
    flags_raised: int = Field(description="How many flags that were not there before.")
    flagged_logs: list[logs.FlaggedLog]


class SignedHead(BaseModel):
    size: int = Field(description="How many entries it covers.")
    root: str = Field(description="Root of the Merkle tree (RFC 9162), 64 hexadecimal digits.")
    key: str = Field(description="Public key of the log (C2SP signed note).")
    note: str = Field(description="The signed checkpoint (C2SP tlog-checkpoint). Keep it where we cannot reach it.")
    time: str


class SizeQuery(Input):
    size: int | None = Field(None, ge=0, le=2**53, description="Entries it covers; the latest checkpoint without.")


class InclusionQuery(Input):
    index: int = Field(ge=0, le=2**53, description="Place of the entry in the log, from 0.")
    size: int | None = Field(None, ge=1, le=2**53, description="Of the tree; that of the latest checkpoint without.")


class ConsistencyQuery(Input):
    old: int = Field(ge=1, le=2**53, description="Size of the earlier tree.")
    new: int | None = Field(None, ge=1, le=2**53, description="Of the later; that of the latest checkpoint without.")


class InclusionProof(BaseModel):
    index: int
    size: int
    leafHash: str
    root: str
    proof: list[str] = Field(description="RFC 9162, 2.1.3.")


class ConsistencyProof(BaseModel):
    old: int
    new: int
    oldRoot: str
    newRoot: str
    proof: list[str] = Field(description="RFC 9162, 2.1.4.")


@api.route("/")
class LogList(EconomyResource):
    @gives(api, logs.Logs, "The newest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor", s403="forbidden", s404="user_not_found")
    @needs(Permission.READ_AUDIT)
    @takes_query(LogQuery)
    def get(self, query: LogQuery) -> Response:
        """The audit log."""
        actor = None
        if query.user is not None:
            user = accounts.by_public_id(query.user)
            if user is None:
                raise accounts.user_not_found()
            actor = user.id
        found, next_cursor = queries.page(
            action=query.action,
            actor=actor,
            subject=query.subject,
            since=query.since,
            until=query.until,
            cursor=query.cursor,
            limit=query.limit,
        )
        return page([logs.row(entry) for entry in found], next_cursor)


@api.route("/flagged/")
class Flagged(EconomyResource):
    @gives(api, logs.FlaggedLogs, "The newest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor", s403="forbidden")
    @needs(Permission.READ_AUDIT)
    @takes_query(FlaggedQuery)
    def get(self, query: FlaggedQuery) -> Response:
        """Entries that were flagged, and those that are conspicuous by themselves."""
        state = None if query.state is None else FlagState(query.state)
        found, next_cursor = integrity.flagged(state=state, cursor=query.cursor, limit=query.limit)
        return page(logs.flagged(found), next_cursor)


@api.route("/<string:log_id>/")
class LogItem(EconomyResource):
    @gives(api, logs.WholeLog, "The entry, with what was hashed.")
    @refuses(api, s403="forbidden", s404="entry_not_found")
    @needs(Permission.READ_AUDIT)
    def get(self, log_id: str) -> Response:
        """One entry."""
        found = integrity.of_entries([queries.by_id(log_id).id])
        return json_response(logs.whole(found[0]))


@api.route("/scan/")
class Scanning(EconomyResource):
    @gives(api, Scan, "Looked at.")
    @refuses(api, s403="forbidden, cross_site_request")
    @needs(Permission.RAISE_FLAGS)
    def post(self) -> Response:
        """Look for what is wrong among the gifts of the last seven days, and flag it. Nothing of the log changes."""
        result = service.scan(by=auth.me().user_id)
        return json_response(
            {
                "count": result.count,
                "anomalies_detected": result.anomalies_detected,
                "flags_raised": result.raised,
                "flagged_logs": logs.flagged(result.flagged),
            }
        )


@api.route("/<string:log_id>/flag/")
class Flagging(EconomyResource):
    @gives(api, logs.LogFlag, "Flagged: by a new entry, and not by a change of this one.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, cross_site_request",
        s404="entry_not_found",
    )
    @needs(Permission.RAISE_FLAGS)
    @takes(FlagBody)
    def post(self, body: FlagBody, log_id: str) -> Response:
        """Flag an entry. The gift that it is about is not paid out until somebody has decided."""
        raised = service.flag(log_id, by=auth.me().user_id, reason=body.reason, description=body.description)
        return json_response(logs.flags([raised])[0])


@api.route("/flags/<string:flag_id>/decision/")
class Deciding(EconomyResource):
    @gives(api, logs.LogFlag, "Decided.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, own_matter, four_eyes, cross_site_request",
        s404="flag_not_found",
        s409="flag_decided",
    )
    @needs(Permission.DECIDE_FLAGS)
    @takes(DecisionBody)
    def post(self, body: DecisionBody, flag_id: str) -> Response:
        """Clear or confirm a flag: nobody whose money it is about."""
        decided = service.decide(flag_id, FlagState(body.outcome), by=auth.me().user_id, reason=body.reason)
        return json_response(logs.flags([decided])[0])


@api.route("/checkpoint/")
class CheckpointItem(Resource):
    @api.doc(security=[])
    @gives(api, SignedHead, "The signed head of the log.")
    @refuses(api, s400="invalid", s404="checkpoint_not_found")
    @public
    @takes_query(SizeQuery)
    def get(self, query: SizeQuery) -> Response:
        """The latest signed checkpoint, or the one over so many entries."""
        found = _latest() if query.size is None else queries.checkpoint_at(query.size)
        return json_response(
            {
                "size": found.size,
                "root": found.root.hex(),
                "key": found.key,
                "note": found.note,
                "time": rfc3339(found.time),
            }
        )


@api.route("/proof/inclusion/")
class Inclusion(Resource):
    @api.doc(security=[])
    @gives(api, InclusionProof, "Hexadecimal hashes.")
    @refuses(api, s400="invalid, invalid_range", s404="checkpoint_not_found")
    @public
    @takes_query(InclusionQuery)
    def get(self, query: InclusionQuery) -> Response:
        """Proof that an entry is in the log."""
        proof = queries.inclusion_proof(query.index, query.size or _latest().size)
        return json_response(
            {
                "index": proof.index,
                "size": proof.size,
                "leafHash": proof.leaf_hash.hex(),
                "root": proof.root.hex(),
                "proof": [step.hex() for step in proof.proof],
            }
        )


@api.route("/proof/consistency/")
class Consistency(Resource):
    @api.doc(security=[])
    @gives(api, ConsistencyProof, "Hexadecimal hashes.")
    @refuses(api, s400="invalid, invalid_range", s404="checkpoint_not_found")
    @public
    @takes_query(ConsistencyQuery)
    def get(self, query: ConsistencyQuery) -> Response:
        """Proof that the log has only grown."""
        proof = queries.consistency_proof(query.old, query.new or _latest().size)
        return json_response(
            {
                "old": proof.old,
                "new": proof.new,
                "oldRoot": proof.old_root.hex(),
                "newRoot": proof.new_root.hex(),
                "proof": [step.hex() for step in proof.proof],
            }
        )


def _latest() -> Checkpoint:
    """Raises NotFound (code `checkpoint_not_found`)."""
    found = queries.latest_checkpoint()
    if found is None:
        raise NotFound("Nothing was signed yet.", code="checkpoint_not_found")
    return found
