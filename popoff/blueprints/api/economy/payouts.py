"""`/payout`: asking for one's money, and what staff do about it."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from flask import Response
from flask_restx import Namespace
from pydantic import AliasChoices, BaseModel, Field, RootModel

import config
from popoff.accounts.rules import Permission
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import money
from popoff.blueprints.api.economy.gifts import ReasonBody
from popoff.blueprints.api.economy.resource import EconomyResource
from popoff.blueprints.api.economy.rewards import File, download
from popoff.blueprints.api.economy.wallet import AmountBody
from popoff.kernel.clock import rfc3339
from popoff.kernel.errors import NotFound
from popoff.rewards import balances, payouts
from popoff.rewards.bank import BankFiles
from popoff.web import auth
from popoff.web.access import needs, signed_in
from popoff.web.parsing import Input, Moment, takes
from popoff.web.responses import json_response

api = Namespace("payout", path="/payout", description="Money on its way to the bank. A second person approves it.")


class Payout(BaseModel):
    id: str
    amount: float
    currency: str
    state: str = Field(description="PENDING, HELD, APPROVED, PAID, FAILED or REVERSED.")
    reason: str | None = Field(description="Why it is held, failed or was reversed.")
    heldUntil: str | None
    createdAt: str
    approvedAt: str | None
    settledAt: str | None
    exported: bool = Field(description="Whether the bank has been told.")


class StaffPayout(Payout):
    userId: str | None = Field(description="Who is paid; null once they are gone.")
    requestedBy: str | None
    approvedBy: str | None


class Payouts(RootModel[list[Payout]]):
    """The latest first."""


class StaffPayouts(RootModel[list[StaffPayout]]):
    """The oldest first."""


class AccountBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    holder: str = Field(min_length=1, max_length=1000, description="2 to 70 characters.")
    iban: str = Field(min_length=1, max_length=100)
    bic: str = Field("", max_length=100, description="Not needed for most banks.")


class BankAccount(BaseModel):
    holder: str
    iban: str
    bic: str


class HoldBody(ReasonBody):
    until: Moment | None = Field(
        None, validation_alias=AliasChoices("until", "heldUntil"), description="RFC 3339; without it until released."
    )


class Export(BaseModel):
    id: str
    csv: str = Field(description="Path of the file.")
    pain001: str | None = Field(description="Path of the ISO 20022 file; null when no debtor is configured.")
    leftOut: list[str] = Field(description="Payouts of people who have no bank account any more.")


@api.route("/")
class PayoutList(EconomyResource):
    @gives(api, Payouts, "The latest first.")
    @signed_in
    def get(self) -> Response:
        """Your payouts."""
        return json_response([_row(payout) for payout in balances.payouts_of(auth.me().user_id)])

    @api.doc(params=money.Key)
    @gives(api, Payout, "Asked for.", status=201)
    @refuses(
        api,
        s400="invalid, invalid_amount, invalid_key, payout_too_small, bank_account_missing, nothing_payable, "
        "insufficient_funds",
        s403="cross_site_request",
        s409="idempotency_conflict",
    )
    @signed_in
    @takes(AmountBody)
    def post(self, body: AmountBody) -> Response:
        """Ask for money that you have earned."""
        asked = payouts.request(auth.me().user_id, body.amount, key=money.key())
        return json_response(_row(asked), 201)


@api.route("/account/")
class Account(EconomyResource):
    @gives(api, BankAccount, "Where you are paid to.")
    @refuses(api, s404="bank_account_missing")
    @signed_in
    def get(self) -> Response:
        """Your bank account."""
        found = balances.bank_account(auth.me().user_id)
        if found is None:
            raise NotFound("Tell us first where to pay to.", code="bank_account_missing")
        return json_response(_account(found))

    @gives(api, BankAccount, "Noted.")
    @refuses(
        api,
        s400="invalid, invalid_iban, invalid_bic, invalid_holder",
        s403="cross_site_request",
        s409="payout_exported",
    )
    @signed_in
    @takes(AccountBody)
    def put(self, body: AccountBody) -> Response:
        """Say where you want to be paid to. What was approved for another account waits to be looked at again."""
        return json_response(_account(payouts.set_bank_account(auth.me().user_id, body.holder, body.iban, body.bic)))


@api.route("/open/")
class OpenPayouts(EconomyResource):
    @gives(api, StaffPayouts, "The oldest first.")
    @refuses(api, s403="forbidden")
    @needs(Permission.DECIDE_PAYOUTS)
    def get(self) -> Response:
        """Payouts that somebody has to look at."""
        return json_response(_staff_rows(balances.open_payouts()))


@api.route("/<string:payout_id>/")
class PayoutItem(EconomyResource):
    @gives(api, Payout, "The payout.")
    @refuses(api, s404="payout_not_found")
    @signed_in
    def get(self, payout_id: str) -> Response:
        """A payout of yours; staff who look after the money see any."""
        if money.reads_money():
            return json_response(_staff_rows([balances.payout(payout_id)])[0])
        return json_response(_row(balances.payout(payout_id, user_id=auth.me().user_id)))


def _decide(act: Callable[..., Any], payout_id: str, **more: Any) -> Response:
    return json_response(_staff_rows([act(payout_id, by=auth.me().user_id, **more)])[0])


@api.route("/<string:payout_id>/approve/")
class Approval(EconomyResource):
    @gives(api, StaffPayout, "Approved.")
    @refuses(
        api,
        s403="forbidden, four_eyes, cross_site_request",
        s404="payout_not_found",
        s409="payout_state, payout_held, gifts_flagged",
    )
    @needs(Permission.DECIDE_PAYOUTS)
    def post(self, payout_id: str) -> Response:
        """Let a payout go to the bank: not who asked for it, and not who is paid."""
        return _decide(payouts.approve, payout_id)


@api.route("/<string:payout_id>/hold/")
class Holding(EconomyResource):
    @gives(api, StaffPayout, "Held.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, own_matter, cross_site_request",
        s404="payout_not_found",
        s409="payout_state, payout_exported",
    )
    @needs(Permission.DECIDE_PAYOUTS)
    @takes(HoldBody)
    def post(self, body: HoldBody, payout_id: str) -> Response:
        """Keep a payout from going on."""
        return _decide(payouts.hold, payout_id, reason=body.reason, until=body.until)


@api.route("/<string:payout_id>/release/")
class Release(EconomyResource):
    @gives(api, StaffPayout, "It waits for approval again.")
    @refuses(api, s403="forbidden, own_matter, cross_site_request", s404="payout_not_found", s409="payout_state")
    @needs(Permission.DECIDE_PAYOUTS)
    def post(self, payout_id: str) -> Response:
        """End a hold."""
        return _decide(payouts.release, payout_id)


@api.route("/<string:payout_id>/paid/")
class Paid(EconomyResource):
    @gives(api, StaffPayout, "Paid.")
    @refuses(api, s403="forbidden, own_matter, cross_site_request", s404="payout_not_found", s409="payout_state")
    @needs(Permission.DECIDE_PAYOUTS)
    def post(self, payout_id: str) -> Response:
        """Note that the bank has paid it."""
        return _decide(payouts.pay, payout_id)


@api.route("/<string:payout_id>/failed/")
class Failed(EconomyResource):
    @gives(api, StaffPayout, "The money is back in the wallet.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, own_matter, cross_site_request",
        s404="payout_not_found",
        s409="payout_state",
    )
    @needs(Permission.DECIDE_PAYOUTS)
    @takes(ReasonBody)
    def post(self, body: ReasonBody, payout_id: str) -> Response:
        """Note that it will not be paid."""
        return _decide(payouts.fail, payout_id, reason=body.reason)


@api.route("/<string:payout_id>/reversed/")
class Reversed(EconomyResource):
    @gives(api, StaffPayout, "The money is back in the wallet.")
    @refuses(
        api,
        s400="invalid, empty_reason, too_long",
        s403="forbidden, own_matter, cross_site_request",
        s404="payout_not_found",
        s409="payout_state",
    )
    @needs(Permission.DECIDE_PAYOUTS)
    @takes(ReasonBody)
    def post(self, body: ReasonBody, payout_id: str) -> Response:
        """Note that the bank sent it back."""
        return _decide(payouts.reverse, payout_id, reason=body.reason)


@api.route("/exports/")
class Exports(EconomyResource):
    @gives(api, Export, "Files for the bank.", status=201)
    @refuses(api, s400="invalid_iban, invalid_bic", s403="forbidden, cross_site_request", s409="nothing_to_export")
    @needs(Permission.DECIDE_PAYOUTS)
    def post(self) -> Response:
        """Put the approved payouts that no file has had yet into files for the bank."""
        files = payouts.export(by=auth.me().user_id)
        path = f"/api/payout/exports/{files.public_id}"
        return json_response(
            {
                "id": files.public_id,
                "csv": f"{path}/csv",
                "pain001": f"{path}/pain001" if files.pain001 else None,
                "leftOut": files.left_out,
            },
            201,
        )


@api.route("/exports/<string:export_id>/csv/")
class ExportCsv(EconomyResource):
    @api.produces(["text/csv"])
    @gives(api, File, "One payment a line.")
    @refuses(api, s403="forbidden", s404="export_not_found")
    @needs(Permission.DECIDE_PAYOUTS)
    def get(self, export_id: str) -> Response:
        """The payments of an export as CSV."""
        return download(payouts.exported(export_id).csv, "text/csv; charset=utf-8", f"payouts-{export_id}.csv")


@api.route("/exports/<string:export_id>/pain001/")
class ExportPain(EconomyResource):
    @api.produces(["application/xml"])
    @gives(api, File, "ISO 20022 pain.001.001.09.")
    @refuses(api, s400="invalid_iban, invalid_bic", s403="forbidden", s404="export_not_found, debtor_missing")
    @needs(Permission.DECIDE_PAYOUTS)
    def get(self, export_id: str) -> Response:
        """The payments of an export as the bank's programs read them."""
        return download(_pain001(payouts.exported(export_id)), "application/xml", f"payouts-{export_id}.xml")


def _pain001(files: BankFiles) -> bytes:
    if files.pain001 is None:
        raise NotFound("No debtor is configured, or nothing is left to pay.", code="debtor_missing")
    return files.pain001


def _account(account: Any) -> dict[str, Any]:
    return {"holder": account.holder, "iban": account.iban, "bic": account.bic}


def _row(payout: Any) -> dict[str, Any]:
    held_until, approved_at, settled_at = (
        None if moment is None else rfc3339(moment)
        for moment in (payout.held_until, payout.approved_at, payout.settled_at)
    )
    return {
        "id": payout.public_id,
        "amount": money.amount(payout.amount),
        "currency": config.current().currency,
        "state": payout.state.upper(),
        "reason": payout.reason,
        "heldUntil": held_until,
        "createdAt": rfc3339(payout.created_at),
        "approvedAt": approved_at,
        "settledAt": settled_at,
        "exported": payout.export_id is not None,
    }


def _staff_rows(found: Sequence[Any]) -> list[dict[str, Any]]:
    named = money.refs([one for payout in found for one in (payout.user_id, payout.requested_by, payout.approved_by)])
    return [
        _row(payout)
        | {
            "userId": named[payout.user_id],
            "requestedBy": named[payout.requested_by],
            "approvedBy": named[payout.approved_by],
        }
        for payout in found
    ]
