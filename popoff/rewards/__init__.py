"""What creators earn: gifts, pools, periods, statements and payouts.

Who owns the money, and when (accounts are the ledger's kinds):

- **A gift** moves the giver's WALLET to the creator's GIFTS at once: the giver has spent it, the creator has not
  earned it yet. Taken back before its period closes, it goes the same way back.
- **A pool** exists from the moment a period is frozen: BANK (the operator's money, the advertisers') to AD_POOL and
  CREATOR_FUND, only the creators' part of it; the rest was never theirs and stays out of these books.
- **Closing a period** pays each statement: from GIFTS the creators' part (40 %) to their WALLET and the rest to
  PLATFORM, from the two pools to the WALLET. What nobody was eligible for stays in its pool, and the next period
  pays it. A gift with an open flag stays in GIFTS until somebody decides: cleared, it is a line of the next
  statement; confirmed, staff reverse it.
- **A gift reversed late** (after its period was paid) is refunded at once: the platform's part from PLATFORM, the
  creator's part advanced by BANK. Lines of the creator's next statements give that back: WALLET to BANK, never more
  than the statement earns, and the rest with the one after it.
- **A payout** moves WALLET to the person's PAYOUTS when it is requested, from there to BANK when it was paid, and
  back to the WALLET when it failed or was reversed. Only what was earned can be paid out, not what was granted or
  paid in.
- **A top-up** moves BANK to WALLET when the provider's signed word came; **a grant** moves MINT to WALLET.

Which gifts belong to a period is never written on them: it is those made in it, except for the held and the reversed
ones, which have rows of their own. So closing a period writes nothing per gift. A period's end is never in the
future, and gifts and `periods.close` meet at one lock (givers share it, closing has it alone), after which a trigger
puts a gift behind all that is closed. So none can appear there.

A view belongs to the period of its first second. Watch time belongs to the period that first sees it: all that was
watched up to the freezing, of views that are in this or an earlier period, without what earlier periods have counted.
A person's own watching of their own posts counts nothing. Posts share in the pools while everybody may see them, and
in the creator fund when they have a score and somebody watched them in the period.

`rules` decides (one function, `allocate`, says what everybody gets: pages, files and the ledger all come from it),
`models` has the tables, `inputs` collects what a period is about, `queries` reads; `gifts`, `periods`, `payouts`,
`topups` write; `statements` puts a statement into CSV and PDF and explains it, `bank` writes the bank's files.
"""
