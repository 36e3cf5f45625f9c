"""The audit log: who did what, in an order that nobody can change afterwards without being found out.

How it works, from the inside out:

- **Entries** are written by `service.record` in the transaction of what they record: both are there or neither is.
  An entry names people by a *pseudonym*, an HMAC of the owner's id under a secret that is kept outside the log
  (`AUDIT_PSEUDONYM_KEY`, or a file in the data folder). Whoever has the log alone cannot tell who it was, nor try ids
  until one fits. When an account is erased, the way from its id to a person goes with it; when the secret is deleted,
  nobody at all can be found in the log again; the chain holds in both cases. A platform that spreads over several
  hosts sets the secret on all of them, like `SECRET_KEY`. The other values of an entry are ids and numbers: `rules`
  refuses anything that could be a name, an address or a sentence.
- **The chain** is made by one sequencer (`service.chain_committed`, under an advisory lock) from entries that have
  committed, so that writers never wait for one another. Ids are given before the commit and tell nothing about the
  order; the order of the log is the sequencer's `seq`, without gaps. Each transaction leaves a row in
  `audit_pending` for each entry, by a trigger, and the sequencer takes the rows it sees: an entry that commits late
  comes late, and none is missed or taken twice.
- **hash** = SHA-256(0x00 ‖ previous hash ‖ canonical JSON of the stored values). With the 0x00 this is the leaf hash of
  RFC 9162 for the leaf (previous hash ‖ canonical JSON): the chain and the Merkle tree share their hashes, and a proof
  of inclusion is one about the entry itself.
- **Checkpoints** are tree heads signed with Ed25519, as C2SP signed notes (`tlog-checkpoint`), which other people's
  tools read, too. The key is `AUDIT_KEY`, or `audit.key` in the data folder. Keep checkpoints where we cannot reach
  them: with one of them, `verify` finds even a tail that was written anew with all its hashes, and signed.
- **Append-only**: triggers refuse UPDATE, DELETE and TRUNCATE for everybody, the owner of the tables included. The
  migration also makes the role `popoff_app`, if it may (a managed PostgreSQL allows it to its administrator), which
  has no right to change the log at all. To use it, give the platform a login that is a member of that role and
  nothing more, and let the owner of the tables run `popoff migrate`.
- **Verification** (`verify.py`, which stands alone; `inspection.py` for the stored values) hashes every byte again.

`rules` decides, `models` are the tables, `queries` reads, `service` writes, `tree` is the arithmetic of proofs,
`signing` has the key, `export` writes the log as JSON lines.
"""
