"""A statement as people want it: its rows, as CSV and as PDF."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

import config
from popoff.kernel.clock import rfc3339
from popoff.kernel.money import Minor, to_text
from popoff.rewards import rules
from popoff.rewards.bank import plain_cell
from popoff.rewards.queries import StatementView

COLUMNS = ("content", "title", "kind", "gifts_received", "views", "watch_seconds", "score",
           "gift_reward", "ad_revenue", "fund_reward", "total")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a statement, ready to be shown; amounts in minor units. `kind`: content, release or reversal.

    `content` is the public id; empty, like the title, when the post is gone.
    """

    content: str
    title: str
    kind: str
    gifts: Minor
    views: int
    watch_ms: int
    score: int | None
    gift_reward: Minor
    ad_revenue: Minor
    fund_reward: Minor

    @property
    def total(self) -> Minor:
        return Minor(self.gift_reward + self.ad_revenue + self.fund_reward)


def rows(view: StatementView) -> list[Row]:
    """The lines of a statement; their totals sum to the statement's."""
    nothing = Minor(0)

    def names(post_id: int) -> tuple[str, str]:
        name = view.names.get(post_id)
        return (str(name.public_id), name.title) if name else ("", "")

    content = [
        Row(*names(line.post_id), "content", Minor(line.gifts), line.views, line.watch_ms, line.score,
            Minor(line.gift_reward), Minor(line.ad_revenue), Minor(line.fund_reward))
        for line in view.lines
    ]  # fmt: skip
    late = [
        Row(*names(line.post_id), line.kind, Minor(line.gross), 0, 0, None, Minor(line.amount), nothing, nothing)
        for line in view.late
    ]
    return content + late


# files


def as_csv(view: StatementView) -> bytes:
    """The statement as CSV (UTF-8, amounts with two decimals), with a last row that sums up."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows(view):
        writer.writerow([plain_cell(cell) for cell in _cells(row)])
    gifts, *amounts = _sums(view)
    writer.writerow(["", "", "total", gifts, "", "", "", *amounts])
    return text.getvalue().encode()


def _cells(row: Row) -> list[str]:
    score = "" if row.score is None else f"{row.score / rules.SCORE_SCALE:.2f}"
    amounts = (row.gift_reward, row.ad_revenue, row.fund_reward, row.total)
    return [row.content, row.title, row.kind, to_text(row.gifts), str(row.views), f"{row.watch_ms / 1000:.3f}",
            score, *(to_text(amount) for amount in amounts)]  # fmt: skip


def _sums(view: StatementView) -> list[str]:
    """Of the columns with amounts: gifts, what was earned of each kind, and in all."""
    sums = view.statement
    gifts = sums.gifts + sum(line.gross for line in view.late)
    amounts = (gifts, sums.gift_reward + sums.late, sums.ad_revenue, sums.fund_reward, sums.total)
    return [to_text(Minor(amount)) for amount in amounts]


_HEADS = ("Content", "Gifts", "Views", "Seconds", "Score", "Of gifts", "Of ads", "Of fund", "Total")
_WIDTHS = tuple(width * mm for width in (58, 17, 14, 16, 13, 17, 17, 17, 19))


def as_pdf(view: StatementView, holder: str = "") -> bytes:
    """The statement as a PDF (A4), the same bytes each time. `holder`: whose it is, as they are called."""
    period, statement, settings = view.period, view.statement, config.current()
    styles = getSampleStyleSheet()
    small = ParagraphStyle("small", parent=styles["Normal"], fontSize=7.5, leading=9)
    facts = (
        f"Statement {statement.public_id}",
        f"For {_printable(holder)}" if _printable(holder) else "",
        f"From {rfc3339(period.starts_at)} up to {rfc3339(period.ends_at)}",
        f"All amounts in {settings.currency}. The creators' parts: {period.gift_share} % of gifts, {period.ad_share} % "
        f"of the advertisement pool ({to_text(Minor(period.ad_pool))}), {period.fund_share} % of the creator fund "
        f"({to_text(Minor(period.creator_fund))}).",
    )
    story = [Paragraph("Statement of rewards", styles["Title"])]
    story += [Paragraph(_escaped(fact), styles["Normal"]) for fact in facts if fact]
    story += [Spacer(1, 6 * mm), _table(view, small)]
    target = io.BytesIO()
    SimpleDocTemplate(
        target, pagesize=A4, leftMargin=11 * mm, rightMargin=11 * mm, topMargin=14 * mm, bottomMargin=14 * mm,
        title=f"Statement {statement.public_id}", author="PopOff", invariant=1,
    ).build(story)  # fmt: skip
    return target.getvalue()


def _table(view: StatementView, small: ParagraphStyle) -> Table:
    data: list[list[object]] = [list(_HEADS)]
    for row in rows(view):
        name = _printable(row.title)[:120] or row.content or "deleted"
        label = name if row.kind == "content" else f"{name} (gift, late {row.kind})"
        _, _, _, *cells = _cells(row)
        data.append([Paragraph(_escaped(label), small), *cells])
    gifts, *amounts = _sums(view)
    data.append(["Total", gifts, "", "", "", *amounts])
    table = Table(data, colWidths=_WIDTHS, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("FONTSIZE", (0, 0), (-1, -1), 7.5),
                ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
                ("FONTNAME", (0, -1), (-1, -1), "Helvetica-Bold"),
                ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.6, colors.black),
                ("LINEABOVE", (0, -1), (-1, -1), 0.6, colors.black),
            ]
        )
    )
    return table


def _printable(text: str) -> str:
    """`text` if the fonts that every reader of PDFs has can show it; else nothing."""
    plain = " ".join(text.split())
    try:
        plain.encode("cp1252")
    except UnicodeEncodeError:
        return ""
    return plain


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
