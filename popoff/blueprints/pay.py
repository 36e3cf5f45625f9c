"""The sandbox's checkout: where people pay in what nobody charges them."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template, url_for
from flask_wtf import FlaskForm
from wtforms import SubmitField

import config
from popoff.adapters.payments import Sandbox
from popoff.kernel.errors import Invalid
from popoff.kernel.money import Minor, to_text
from popoff.rewards import topups
from popoff.web import auth
from popoff.web.access import signed_in

blueprint = Blueprint("pay", __name__)


class CheckoutForm(FlaskForm):
    pay = SubmitField("Pay")
    decline = SubmitField("Decline")


@blueprint.route(f"{Sandbox.CHECKOUT_PATH}/<string:reference>")
@signed_in
def checkout(reference: str) -> str:
    """What is to be paid, and a button for each way it can end."""
    top_up = topups.pending(reference, auth.me().user_id)
    amount = f"{to_text(Minor(top_up.amount))} {config.current().currency}"
    return render_template("pay.html", form=CheckoutForm(), amount=amount)


@blueprint.route(f"{Sandbox.CHECKOUT_PATH}/<string:reference>", methods=["POST"])
@signed_in
def settle(reference: str) -> Response:
    """The choice, told to the platform by a webhook as a real provider sends it."""
    form = CheckoutForm()
    if not form.validate_on_submit():
        raise Invalid("This page was open for too long. Please load it again.", code="form_expired")
    topups.pay_in_sandbox(reference, auth.me().user_id, paid=bool(form.pay.data))
    return redirect(url_for("site.home"))  # type: ignore[return-value]
