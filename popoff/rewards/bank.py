"""Files for the bank: CSV for people, ISO 20022 pain.001.001.09 for the bank's programs when a debtor is set."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from xml.etree import ElementTree as Xml

import config
from popoff.kernel.clock import rfc3339
from popoff.kernel.money import Minor, to_text
from popoff.rewards import rules
from popoff.rewards.balances import Order, Orders

PAIN = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_SEPA = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")


@dataclass(frozen=True, slots=True)
class BankFiles:
    """The same payments twice; `pain001` is None without PAYOUT_DEBTOR_NAME and PAYOUT_DEBTOR_IBAN."""

    public_id: str
    csv: bytes
    pain001: bytes | None
    left_out: list[str]


def files(orders: Orders) -> BankFiles:
    """Raises Invalid (`invalid_iban`, `invalid_bic`) when the settings of the debtor are wrong."""
    settings = config.current()
    with_debtor = settings.payout_debtor_name and settings.payout_debtor_iban
    pain001 = _pain001(orders) if with_debtor and orders.orders else None
    return BankFiles(orders.public_id, _csv(orders), pain001, orders.left_out)


def _csv(orders: Orders) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["reference", "holder", "iban", "bic", "amount", "currency"])
    for order in orders.orders:
        row = (order.reference, order.holder, order.iban, order.bic, to_text(order.amount), config.current().currency)
        writer.writerow([plain_cell(value) for value in row])
    return text.getvalue().encode()


def plain_cell(value: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(value) else value


def _is_number(value: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def _pain001(orders: Orders) -> bytes:
    settings = config.current()
    total, count = to_text(Minor(sum(order.amount for order in orders.orders))), str(len(orders.orders))
    document = Xml.Element("Document", xmlns=PAIN)
    initiation = Xml.SubElement(document, "CstmrCdtTrfInitn")
    header = Xml.SubElement(initiation, "GrpHdr")
    _text(header, "MsgId", orders.public_id)
    _text(header, "CreDtTm", rfc3339(orders.created_at))
    _text(header, "NbOfTxs", count)
    _text(header, "CtrlSum", total)
    _text(_under(header, "InitgPty"), "Nm", sepa(settings.payout_debtor_name))
    payment = Xml.SubElement(initiation, "PmtInf")
    _text(payment, "PmtInfId", orders.public_id)
    _text(payment, "PmtMtd", "TRF")
    _text(payment, "NbOfTxs", count)
    _text(payment, "CtrlSum", total)
    _text(_under(payment, "ReqdExctnDt"), "Dt", orders.created_at.date().isoformat())
    _text(_under(payment, "Dbtr"), "Nm", sepa(settings.payout_debtor_name))
    _text(_under(payment, "DbtrAcct", "Id"), "IBAN", rules.check_iban(settings.payout_debtor_iban))
    _agent(payment, "DbtrAgt", rules.check_bic(settings.payout_debtor_bic))
    for order in orders.orders:
        _order(payment, order, settings.currency)
    return bytes(Xml.tostring(document, encoding="utf-8", xml_declaration=True))


def _order(payment: Xml.Element, order: Order, currency: str) -> None:
    entry = Xml.SubElement(payment, "CdtTrfTxInf")
    _text(_under(entry, "PmtId"), "EndToEndId", order.reference)
    _text(_under(entry, "Amt"), "InstdAmt", to_text(order.amount)).set("Ccy", currency)
    if order.bic:
        _agent(entry, "CdtrAgt", order.bic)
    _text(_under(entry, "Cdtr"), "Nm", sepa(order.holder))
    _text(_under(entry, "CdtrAcct", "Id"), "IBAN", order.iban)
    _text(_under(entry, "RmtInf"), "Ustrd", f"PopOff {order.reference}")


def _agent(parent: Xml.Element, name: str, bic: str) -> None:
    """A bank; where the IBAN is enough, the standard wants that said."""
    bank = _under(parent, name, "FinInstnId")
    if bic:
        _text(bank, "BICFI", bic)
    else:
        _text(_under(bank, "Othr"), "Id", "NOTPROVIDED")


def _under(parent: Xml.Element, *names: str) -> Xml.Element:
    for name in names:
        parent = Xml.SubElement(parent, name)
    return parent


def _text(parent: Xml.Element, name: str, text: str) -> Xml.Element:
    element = Xml.SubElement(parent, name)
    element.text = text
    return element


def sepa(text: str) -> str:
    """`text` in the letters that every bank takes: accents go, other signs become dots."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("&", "+"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return _SEPA.sub(".", plain)[:70]
