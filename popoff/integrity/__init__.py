"""Who plays by the rules: flags on entries of the audit log, the scan that raises them, and what people report.

A **flag** says that an entry deserves a look. It is a new entry of the log and a row here, never a change of the
entry it is about. Staff raise flags, the scan does, and so does a report that is upheld. Somebody who has no part in
the matter decides: *cleared* or *confirmed*; a confirmed flag can be cleared by another person later. As long as a
gift has an open or a confirmed flag, rewards keeps it out of payouts (`queries.flagged_gifts`).

The **scan** reads gifts from the log alone, under the pseudonyms they have there, and measures each against what its
giver did before. `rules.judge` says what is wrong with it and why. A model outside is told the same (`history`), and
what it suspects is flagged next to that (`suspect`): twice a minute what is new, and again by the scan. An entry is
flagged once by each rule, and once by a model: what was cleared stays cleared, however often the scan comes by.

A **report** is what somebody tells us of a person, a post, a gift or an entry. Reports about one subject make one
case, which staff uphold or dismiss.
"""
