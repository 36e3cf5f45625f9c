"""entries are posted by the statement, and not one by one: closing a period adds them by the thousand"""

from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

# What was checked row by row is checked for all rows of a statement. The plan for `added` is made at its first use in a
# session and kept, whatever its size is then and later, so there is but one to choose: one look into an index for each
# row (ANY rules out joins that read all accounts, and enable_seqscan a small table that grows later).
FUNCTIONS = """
CREATE OR REPLACE FUNCTION ledger_post() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    one record;
    due bigint := 0;
    posted bigint;
BEGIN
    -- An entry is next in line in its account, and takes the account's balance with it: nothing else does.
    UPDATE ledger_accounts AS account
       SET balance = balance_after, entries = seq
      FROM added
     WHERE account.id = ANY (ARRAY[account_id]) AND balance + amount = balance_after AND entries + 1 = seq;
    GET DIAGNOSTICS posted = ROW_COUNT;
    -- Transfers are written whole, at once, and they exist: their entries are as many and as much as they say.
    FOR one IN
        SELECT transfer_id, count(*) AS legs, sum(amount) AS net, sum(amount) FILTER (WHERE amount > 0) AS moved
          FROM added GROUP BY transfer_id
    LOOP
        due := due + one.legs;
        IF NOT EXISTS (
            SELECT FROM ledger_transfers AS transfer
             WHERE id = one.transfer_id AND (legs, amount, 0) = (one.legs, one.moved, one.net)
               AND legs = (SELECT count(*) FROM ledger_entries WHERE transfer_id = one.transfer_id)
        ) THEN
            RAISE EXCEPTION 'transfer % is not what its entries sum up to', one.transfer_id
                USING ERRCODE = 'check_violation', TABLE = 'ledger_entries', CONSTRAINT = 'ledger_entries_balance';
        END IF;
    END LOOP;
    -- Of several entries of one account, only the first was next in line: the others follow it one by one.
    IF posted < due THEN
        FOR one IN
            SELECT added.* FROM added JOIN ledger_accounts AS account ON account.id = ANY (ARRAY[account_id])
             WHERE seq > entries ORDER BY account_id, seq
        LOOP
            UPDATE ledger_accounts
               SET balance = one.balance_after, entries = one.seq
             WHERE id = one.account_id AND balance + one.amount = one.balance_after AND entries + 1 = one.seq;
            EXIT WHEN NOT FOUND;
            posted := posted + 1;
        END LOOP;
    END IF;
    IF posted < due THEN
        RAISE EXCEPTION 'an entry does not continue the one before it in its account, or has no account'
            USING ERRCODE = 'check_violation', TABLE = 'ledger_entries', CONSTRAINT = 'ledger_entries_post';
    END IF;
    RETURN NULL;
END $$;

-- At the end of its transaction a transfer has its entries, so that no key is used up for nothing. They are whole
-- when there are any.
CREATE FUNCTION ledger_complete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM ledger_entries WHERE transfer_id = NEW.id) THEN
        RAISE EXCEPTION 'transfer % has no entries', NEW.id
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;
"""

# No foreign keys from entries: an entry without its account or transfer is refused above, and neither of them can be
# removed (triggers that nobody's session gets around) or get another id.
TRIGGERS = """
CREATE TRIGGER ledger_entries_post AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_post();
CREATE CONSTRAINT TRIGGER ledger_transfers_balance AFTER INSERT ON ledger_transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_complete();
-- Depth 0: an UPDATE that somebody sent, not one of the triggers.
CREATE TRIGGER ledger_accounts_no_change BEFORE UPDATE ON ledger_accounts FOR EACH STATEMENT
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_accounts_no_renaming BEFORE UPDATE OF id, kind, owner_id ON ledger_accounts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
ALTER TABLE ledger_accounts ENABLE ALWAYS TRIGGER ledger_accounts_no_renaming;
"""

FUNCTIONS_BEFORE = """
CREATE OR REPLACE FUNCTION ledger_post() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""
TRIGGERS_BEFORE = """
CREATE TRIGGER ledger_entries_post AFTER INSERT ON ledger_entries
    FOR EACH ROW EXECUTE FUNCTION ledger_post();
CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_balance();
CREATE CONSTRAINT TRIGGER ledger_transfers_balance AFTER INSERT ON ledger_transfers
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balance();
CREATE TRIGGER ledger_accounts_no_change BEFORE UPDATE ON ledger_accounts FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 OR (OLD.id, OLD.kind, OLD.owner_id) <> (NEW.id, NEW.kind, NEW.owner_id))
    EXECUTE FUNCTION ledger_refuse();
"""
KEYS = (('account_id', 'ledger_accounts'), ('transfer_id', 'ledger_transfers'))


def upgrade():
    for trigger, table in (
        ('ledger_entries_post', 'ledger_entries'),
        ('ledger_entries_balance', 'ledger_entries'),
        ('ledger_transfers_balance', 'ledger_transfers'),
        ('ledger_accounts_no_change', 'ledger_accounts'),
    ):
        op.execute(f'DROP TRIGGER {trigger} ON {table}')
    op.execute('DROP FUNCTION ledger_balance()')
    op.execute(FUNCTIONS)
    op.execute(TRIGGERS)
    for column, table in KEYS:
        op.drop_constraint(op.f(f'fk_ledger_entries_{column}_{table}'), 'ledger_entries', type_='foreignkey')


def downgrade():
    for column, table in KEYS:
        name = op.f(f'fk_ledger_entries_{column}_{table}')
        op.create_foreign_key(name, 'ledger_entries', table, [column], ['id'], ondelete='RESTRICT')
    for trigger, table in (
        ('ledger_entries_post', 'ledger_entries'),
        ('ledger_transfers_balance', 'ledger_transfers'),
        ('ledger_accounts_no_change', 'ledger_accounts'),
        ('ledger_accounts_no_renaming', 'ledger_accounts'),
    ):
        op.execute(f'DROP TRIGGER {trigger} ON {table}')
    op.execute('DROP FUNCTION ledger_complete()')
    op.execute(FUNCTIONS_BEFORE)
    op.execute(TRIGGERS_BEFORE)
