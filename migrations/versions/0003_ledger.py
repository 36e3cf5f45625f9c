"""the ledger, and what keeps its books honest whoever writes to the database"""

import sqlalchemy as sa
from alembic import op
revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

KINDS = "'wallet', 'gifts', 'ad_pool', 'creator_fund', 'payouts', 'platform', 'mint', 'bank'"
PERSONAL = "'gifts', 'payouts', 'wallet'"
MINTS = "kind IN ('bank', 'mint')"

FUNCTIONS = """
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the ledger is only added to', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END $$;

-- An entry is next in line in its account, and takes the account's balance with it: nothing else does.
-- (Row by row, because a plan for a table of new rows would be kept from the first to the next, whatever their size.)
CREATE FUNCTION ledger_post() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger_accounts
       SET balance = NEW.balance_after, entries = NEW.seq
     WHERE id = NEW.account_id AND balance + NEW.amount = NEW.balance_after AND entries + 1 = NEW.seq;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of account % does not continue the one before it', NEW.seq, NEW.account_id
            USING ERRCODE = 'check_violation', TABLE = 'ledger_entries', CONSTRAINT = 'ledger_entries_post';
    END IF;
    RETURN NULL;
END $$;

-- Transfers are written whole: when a statement has added entries, theirs are as many and as much as they say.
-- At the end of its transaction a transfer has its entries, so that no key is used up for nothing.
CREATE FUNCTION ledger_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    written record;
    added_to bigint[];
    one bigint;
BEGIN
    IF TG_TABLE_NAME = 'ledger_transfers' THEN
        added_to := ARRAY[NEW.id];
    ELSE
        added_to := ARRAY(SELECT DISTINCT transfer_id FROM added);
    END IF;
    FOREACH one IN ARRAY added_to LOOP
        SELECT count(*) AS legs, sum(amount) AS net, sum(amount) FILTER (WHERE amount > 0) AS moved INTO written
          FROM ledger_entries WHERE transfer_id = one;
        IF EXISTS (
            SELECT FROM ledger_transfers
             WHERE id = one AND (legs, amount, 0) IS DISTINCT FROM (written.legs, written.moved, written.net)
        ) THEN
            RAISE EXCEPTION 'transfer % is not what its entries sum up to', one
                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION ledger_count_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ledger_accounts
       SET held = held + CASE TG_OP WHEN 'INSERT' THEN NEW.amount ELSE -NEW.amount END
     WHERE id = NEW.account_id;
    RETURN NULL;
END $$;
"""

TRIGGERS = """
CREATE TRIGGER ledger_entries_post AFTER INSERT ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_post();
CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_balance();
CREATE CONSTRAINT TRIGGER ledger_transfers_balance AFTER INSERT ON ledger_transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balance();
CREATE TRIGGER ledger_entries_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_transfers_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

CREATE TRIGGER ledger_accounts_no_removal BEFORE DELETE OR TRUNCATE ON ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_accounts_open_empty BEFORE INSERT ON ledger_accounts FOR EACH ROW
    WHEN ((NEW.balance, NEW.held, NEW.entries) <> (0, 0, 0)) EXECUTE FUNCTION ledger_refuse();
-- Depth 0: an UPDATE that somebody sent, not one of the triggers above and below.
CREATE TRIGGER ledger_accounts_no_change BEFORE UPDATE ON ledger_accounts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 OR (OLD.id, OLD.kind, OLD.owner_id) <> (NEW.id, NEW.kind, NEW.owner_id))
    EXECUTE FUNCTION ledger_refuse();

CREATE TRIGGER ledger_holds_no_removal BEFORE DELETE OR TRUNCATE ON ledger_holds
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_holds_begin_open BEFORE INSERT ON ledger_holds FOR EACH ROW
    WHEN (NEW.state <> 'open') EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_holds_close_once BEFORE UPDATE ON ledger_holds FOR EACH ROW
    WHEN (OLD.state <> 'open' OR NEW.state = 'open'
          OR (OLD.id, OLD.key, OLD.fingerprint, OLD.account_id, OLD.amount, OLD.reason, OLD.created_at)
          <> (NEW.id, NEW.key, NEW.fingerprint, NEW.account_id, NEW.amount, NEW.reason, NEW.created_at))
    EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_holds_count AFTER INSERT OR UPDATE ON ledger_holds
    FOR EACH ROW EXECUTE FUNCTION ledger_count_hold();

-- A session that plays the replica does not get around these.
ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_entries_no_change;
ALTER TABLE ledger_transfers ENABLE ALWAYS TRIGGER ledger_transfers_no_change;
ALTER TABLE ledger_accounts ENABLE ALWAYS TRIGGER ledger_accounts_no_removal;
ALTER TABLE ledger_holds ENABLE ALWAYS TRIGGER ledger_holds_no_removal;
"""


def upgrade():
    op.create_table('ledger_accounts',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('owner_id', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('balance', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('held', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('entries', sa.BigInteger(), server_default='0', nullable=False),
    sa.CheckConstraint(f"kind IN ({KINDS})", name=op.f('ck_ledger_accounts_kind')),
    sa.CheckConstraint(f"(kind IN ({PERSONAL})) = (owner_id <> 0)", name=op.f('ck_ledger_accounts_owner')),
    sa.CheckConstraint(f"{MINTS} OR balance >= 0", name=op.f('ck_ledger_accounts_balance')),
    sa.CheckConstraint(f"held >= 0 AND held <= CASE WHEN {MINTS} THEN 0 ELSE balance END", name=op.f('ck_ledger_accounts_held')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_accounts')),
    sa.UniqueConstraint('kind', 'owner_id', name=op.f('uq_ledger_accounts_kind_owner_id')),
    postgresql_with={'fillfactor': 50},
    )
    op.create_table('ledger_holds',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('fingerprint', sa.Text(), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('state', sa.Text(), server_default='open', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("amount > 0", name=op.f('ck_ledger_holds_amount')),
    sa.CheckConstraint("state IN ('open', 'released', 'captured')", name=op.f('ck_ledger_holds_state')),
    sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f('ck_ledger_holds_closed')),
    sa.CheckConstraint("length(key) <= 200 AND length(reason) <= 500", name=op.f('ck_ledger_holds_lengths')),
    sa.ForeignKeyConstraint(['account_id'], ['ledger_accounts.id'], name=op.f('fk_ledger_holds_account_id_ledger_accounts'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_holds')),
    sa.UniqueConstraint('key', name=op.f('uq_ledger_holds_key')),
    )
    op.create_index('ix_ledger_holds_of_account', 'ledger_holds', ['account_id', 'state'], unique=False)
    op.create_index('ix_ledger_holds_until', 'ledger_holds', ['until'], unique=False, postgresql_where=sa.text("state = 'open'"))
    op.create_table('ledger_transfers',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('fingerprint', sa.Text(), nullable=False),
    sa.Column('reference', sa.Text(), nullable=False),
    sa.Column('memo', sa.Text(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('legs', sa.Integer(), nullable=False),
    sa.Column('reverses_id', sa.BigInteger(), nullable=True),
    sa.Column('hold_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("amount > 0 AND legs >= 2", name=op.f('ck_ledger_transfers_amount')),
    sa.CheckConstraint("length(key) <= 200 AND greatest(length(reference), length(memo)) <= 500", name=op.f('ck_ledger_transfers_lengths')),
    sa.ForeignKeyConstraint(['hold_id'], ['ledger_holds.id'], name=op.f('fk_ledger_transfers_hold_id_ledger_holds'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['reverses_id'], ['ledger_transfers.id'], name=op.f('fk_ledger_transfers_reverses_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_transfers')),
    sa.UniqueConstraint('key', name=op.f('uq_ledger_transfers_key')),
    )
    op.create_index('uq_ledger_transfers_hold_id', 'ledger_transfers', ['hold_id'], unique=True, postgresql_where=sa.text('hold_id IS NOT NULL'))
    op.create_index('uq_ledger_transfers_reverses_id', 'ledger_transfers', ['reverses_id'], unique=True, postgresql_where=sa.text('reverses_id IS NOT NULL'))
    op.create_table('ledger_entries',
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('seq', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('transfer_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('balance_after', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("amount <> 0", name=op.f('ck_ledger_entries_amount')),
    sa.ForeignKeyConstraint(['account_id'], ['ledger_accounts.id'], name=op.f('fk_ledger_entries_account_id_ledger_accounts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['transfer_id'], ['ledger_transfers.id'], name=op.f('fk_ledger_entries_transfer_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('account_id', 'seq', name=op.f('pk_ledger_entries')),
    sa.UniqueConstraint('transfer_id', 'account_id', name=op.f('uq_ledger_entries_transfer_id_account_id')),
    )
    op.create_index('ix_ledger_entries_of_account', 'ledger_entries', ['account_id', 'created_at'], unique=False)
    op.execute(FUNCTIONS)
    op.execute(TRIGGERS)


def downgrade():
    op.drop_table('ledger_entries')
    op.drop_table('ledger_transfers')
    op.drop_table('ledger_holds')
    op.drop_table('ledger_accounts')
    for function in ('post', 'balance', 'count_hold', 'refuse'):
        op.execute(f"DROP FUNCTION ledger_{function}()")
