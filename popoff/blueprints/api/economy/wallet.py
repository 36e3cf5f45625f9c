"""`/wallet` and `/payments`: one's own money, paying in, and what the payments provider says."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from flask import Response, request
from flask_restx import Namespace, Resource
from pydantic import BaseModel, BeforeValidator, Field, RootModel

import config
from popoff.adapters import payments
from popoff.blueprints.api.docs import gives, refuses
from popoff.blueprints.api.economy import money
from popoff.blueprints.api.economy.resource import EconomyResource, PageQuery, page
from popoff.kernel.clock import rfc3339
from popoff.kernel.errors import NotFound
from popoff.ledger import queries as ledger
from popoff.ledger.rules import Account, Kind
from popoff.rewards import balances, topups
from popoff.web import auth
from popoff.web.access import public, signed_in
from popoff.web.parsing import Input, takes, takes_query
from popoff.web.responses import json_response

api = Namespace("wallet", path="/wallet", description="Your money.")
providers = Namespace("payments", path="/payments", description="What the payments provider says.")


class Wallet(BaseModel):
    balance: float = Field(description="What there is to spend.")
    earned: float = Field(description="All that statements have paid.")
    payable: float = Field(description="What can be paid out now.")
    suspended: float = Field(description="Of gifts that are being looked at.")
    onItsWay: float = Field(description="Payouts that are not settled yet.")
    inEscrow: float = Field(description="Gifts that the next statement settles.")
    currency: str


class WalletEntry(BaseModel):
    amount: float = Field(description="Below zero for what left the wallet.")
    balanceAfter: float
    reference: str = Field(description="Id of the gift, statement, payout or payment.")
    memo: str
    createdAt: str


class WalletEntries(RootModel[list[WalletEntry]]):
    """The latest first."""


class AmountBody(Input):
    incomplete: ClassVar[str] = "Missing required fields"

    amount: money.Amount = Field(description="More than zero, with at most two decimals.")


class TopUp(BaseModel):
    id: str
    amount: float
    currency: str
    checkout: str = Field(description="Where to pay: a path of this site, or an address of the provider.")


Word = BeforeValidator(lambda value: value.casefold() if isinstance(value, str) else value)


class OutcomeBody(Input):
    outcome: Annotated[Literal["paid", "failed"], Word] = Field("paid", description="paid or failed.")


class Received(BaseModel):
    received: bool


@api.route("/")
class Purse(EconomyResource):
    @gives(api, Wallet, "Your money at a glance.")
    @signed_in
    def get(self) -> Response:
        """What you have, what can be paid out, and what is still to come."""
        purse = balances.purse(auth.me().user_id)
        return json_response(
            {
                "balance": money.amount(purse.wallet),
                "earned": money.amount(purse.earned),
                "payable": money.amount(purse.payable),
                "suspended": money.amount(purse.suspended),
                "onItsWay": money.amount(purse.on_its_way),
                "inEscrow": money.amount(purse.in_escrow),
                "currency": config.current().currency,
            }
        )


@api.route("/entries/")
class Entries(EconomyResource):
    @gives(api, WalletEntries, "The latest first; `X-Next-Cursor` leads on.")
    @refuses(api, s400="invalid, invalid_cursor")
    @signed_in
    @takes_query(PageQuery)
    def get(self, query: PageQuery) -> Response:
        """What came into your wallet and what left it."""
        found = ledger.entries(Account(Kind.WALLET, auth.me().user_id), query.cursor, query.limit)
        rows = [
            {
                "amount": money.amount(line.amount),
                "balanceAfter": money.amount(line.balance_after),
                "reference": line.reference,
                "memo": line.memo,
                "createdAt": rfc3339(line.created_at),
            }
            for line in found.lines
        ]
        return page(rows, found.next_cursor)


@api.route("/top-up/")
class TopUpList(EconomyResource):
    @gives(api, TopUp, "Begun: nothing moves until the provider says that it was paid.", status=201)
    @refuses(api, s400="invalid, invalid_amount", s403="cross_site_request", s503="payments_not_configured")
    @signed_in
    @takes(AmountBody)
    def post(self, body: AmountBody) -> Response:
        """Pay money in."""
        begun = topups.begin(auth.me().user_id, body.amount)
        return json_response(
            {
                "id": begun.reference,
                "amount": money.amount(body.amount),
                "currency": config.current().currency,
                "checkout": begun.address,
            },
            201,
        )


@providers.route("/webhook/<string:provider>/")
class Webhook(Resource):
    @providers.doc(security=[])
    @gives(providers, Received, "Done.")
    @refuses(
        providers,
        s400="unknown_event, invalid_amount, amount_differs",
        s403="bad_signature, webhook_expired",
        s404="provider_not_found, top_up_not_found, payout_not_found",
        s409="webhook_replayed, top_up_settled, payout_state",
    )
    @public
    def post(self, provider: str) -> Response:
        """What a provider says of a payment: signed, and once."""
        _check_provider(provider)
        topups.receive(dict(request.headers), request.get_data())
        return json_response({"received": True})


@providers.route("/sandbox/<string:reference>/")
class SandboxCheckout(EconomyResource):
    @gives(providers, Received, "The sandbox has told us.")
    @refuses(providers, s400="invalid", s403="cross_site_request", s404="provider_not_found, top_up_not_found")
    @signed_in
    @takes(OutcomeBody)
    def post(self, body: OutcomeBody, reference: str) -> Response:
        """Pay what you began to pay in, or fail to: with the sandbox nobody is charged."""
        topups.pay_in_sandbox(reference, auth.me().user_id, paid=body.outcome == "paid")
        return json_response({"received": True})


def _check_provider(name: str) -> None:
    """Raises NotFound (code `provider_not_found`)."""
    if payments.provider().name != name:
        raise NotFound("There is no such provider.", code="provider_not_found")
