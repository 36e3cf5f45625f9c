"""Gifts, periods, lines, statements, payouts, top-ups; what was given, counted and paid is never changed"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

APPEND_ONLY = ("gifts", "gift_reversals", "gift_holds", "reward_lines", "reward_statements", "reward_late_lines")
GUARD = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only
"""
# A period moves forward; its times and terms stay, and when it is frozen, so do its inputs.
PERIODS = """
CREATE FUNCTION reward_periods_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.id, OLD.public_id, OLD.starts_at, OLD.ends_at, OLD.requested_end, OLD.ad_pool, OLD.creator_fund,
        OLD.gift_share, OLD.ad_share, OLD.fund_share, OLD.min_views, OLD.daily_gift_limit, OLD.created_at)
       <> (NEW.id, NEW.public_id, NEW.starts_at, NEW.ends_at, NEW.requested_end, NEW.ad_pool, NEW.creator_fund,
        NEW.gift_share, NEW.ad_share, NEW.fund_share, NEW.min_views, NEW.daily_gift_limit, NEW.created_at)
       OR OLD.state = 'closed'
       OR array_position(ARRAY['closing', 'frozen', 'closed'], NEW.state)
        < array_position(ARRAY['closing', 'frozen', 'closed'], OLD.state)
       OR NEW.batches_paid < OLD.batches_paid
       OR (OLD.frozen_at IS NOT NULL AND
           (OLD.frozen_at, OLD.digest, OLD.batches, OLD.ad_carried_in, OLD.fund_carried_in, OLD.ad_carried_out,
            OLD.fund_carried_out)
           IS DISTINCT FROM
           (NEW.frozen_at, NEW.digest, NEW.batches, NEW.ad_carried_in, NEW.fund_carried_in, NEW.ad_carried_out,
            NEW.fund_carried_out))
    THEN
        RAISE EXCEPTION 'a period only moves forward' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER step BEFORE UPDATE ON reward_periods FOR EACH ROW EXECUTE FUNCTION reward_periods_step();
ALTER TABLE reward_periods ENABLE ALWAYS TRIGGER step;
CREATE TRIGGER no_removal BEFORE DELETE OR TRUNCATE ON reward_periods
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE reward_periods ENABLE ALWAYS TRIGGER no_removal
"""


def upgrade():
    op.create_table('payment_events',
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('event_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('reference', sa.Text(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('provider', 'event_id', name=op.f('pk_payment_events'))
    )
    op.create_table('payout_exports',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('made_by', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payout_exports')),
    sa.UniqueConstraint('public_id', name=op.f('uq_payout_exports_public_id'))
    )
    op.create_table('reward_periods',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('requested_end', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Text(), server_default='closing', nullable=False),
    sa.Column('ad_pool', sa.BigInteger(), nullable=False),
    sa.Column('creator_fund', sa.BigInteger(), nullable=False),
    sa.Column('gift_share', sa.SmallInteger(), nullable=False),
    sa.Column('ad_share', sa.SmallInteger(), nullable=False),
    sa.Column('fund_share', sa.SmallInteger(), nullable=False),
    sa.Column('min_views', sa.BigInteger(), nullable=False),
    sa.Column('daily_gift_limit', sa.BigInteger(), nullable=False),
    sa.Column('ad_carried_in', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('fund_carried_in', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('ad_carried_out', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('fund_carried_out', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('digest', sa.Text(), nullable=True),
    sa.Column('batches', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('batches_paid', sa.BigInteger(), server_default='0', nullable=False),
    sa.Column('closed_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('frozen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    postgresql.ExcludeConstraint((sa.text('tstzrange(starts_at, ends_at)'), '&&'), using='gist', name='reward_periods_apart'),
    sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name=op.f('ck_reward_periods_closed')),
    sa.CheckConstraint("state IN ('closing', 'frozen', 'closed')", name=op.f('ck_reward_periods_state')),
    sa.CheckConstraint('batches_paid BETWEEN 0 AND batches', name=op.f('ck_reward_periods_batches')),
    sa.CheckConstraint('least(ad_pool, creator_fund, ad_carried_out, fund_carried_out) >= 0', name=op.f('ck_reward_periods_pools')),
    sa.CheckConstraint('least(gift_share, ad_share, fund_share) >= 0 AND greatest(gift_share, ad_share, fund_share) <= 100', name=op.f('ck_reward_periods_shares')),
    sa.CheckConstraint('starts_at < ends_at AND ends_at <= requested_end', name=op.f('ck_reward_periods_time')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reward_periods')),
    sa.UniqueConstraint('public_id', name=op.f('uq_reward_periods_public_id'))
    )
    op.create_index('uq_reward_periods_unfinished', 'reward_periods', [sa.text("(state <> 'closed')")], unique=True, postgresql_where=sa.text("state <> 'closed'"))
    op.create_table('bank_accounts',
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('holder', sa.Text(), nullable=False),
    sa.Column('iban', sa.Text(), nullable=False),
    sa.Column('bic', sa.Text(), server_default='', nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_bank_accounts_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_bank_accounts'))
    )
    op.create_table('reward_lines',
    sa.Column('creator_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('period_id', sa.BigInteger(), nullable=False),
    sa.Column('post_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('gifts', sa.BigInteger(), nullable=False),
    sa.Column('gift_count', sa.BigInteger(), nullable=False),
    sa.Column('views', sa.BigInteger(), nullable=False),
    sa.Column('watch_ms', sa.BigInteger(), nullable=False),
    sa.Column('eligible', sa.Boolean(), nullable=False),
    sa.Column('score', sa.BigInteger(), nullable=True),
    sa.Column('engagement', sa.BigInteger(), nullable=True),
    sa.Column('quality', sa.BigInteger(), nullable=True),
    sa.Column('model', sa.Text(), nullable=True),
    sa.Column('gift_reward', sa.BigInteger(), nullable=False),
    sa.Column('ad_revenue', sa.BigInteger(), nullable=False),
    sa.Column('fund_reward', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('least(gifts, gift_count, views, watch_ms, gift_reward, ad_revenue, fund_reward) >= 0', name=op.f('ck_reward_lines_not_negative')),
    sa.CheckConstraint('score BETWEEN 0 AND 10000', name=op.f('ck_reward_lines_score')),
    sa.ForeignKeyConstraint(['period_id'], ['reward_periods.id'], name=op.f('fk_reward_lines_period_id_reward_periods'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('creator_id', 'period_id', 'post_id', name=op.f('pk_reward_lines'))
    )
    op.create_index('ix_reward_lines_of_period', 'reward_lines', ['period_id'], unique=False, postgresql_using='brin')
    op.create_table('reward_statements',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('period_id', sa.BigInteger(), nullable=False),
    sa.Column('creator_id', sa.BigInteger(), nullable=False),
    sa.Column('batch', sa.BigInteger(), nullable=False),
    sa.Column('gifts', sa.BigInteger(), nullable=False),
    sa.Column('gift_reward', sa.BigInteger(), nullable=False),
    sa.Column('ad_revenue', sa.BigInteger(), nullable=False),
    sa.Column('fund_reward', sa.BigInteger(), nullable=False),
    sa.Column('late', sa.BigInteger(), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('total = gift_reward + ad_revenue + fund_reward + late AND total >= 0', name=op.f('ck_reward_statements_total')),
    sa.ForeignKeyConstraint(['period_id'], ['reward_periods.id'], name=op.f('fk_reward_statements_period_id_reward_periods'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reward_statements')),
    sa.UniqueConstraint('creator_id', 'period_id', name=op.f('uq_reward_statements_creator_id_period_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_reward_statements_public_id'))
    )
    op.create_index('ix_reward_statements_batch', 'reward_statements', ['period_id', 'batch'], unique=False)
    op.create_table('gifts',
    sa.Column('id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('giver_id', sa.BigInteger(), nullable=False),
    sa.Column('creator_id', sa.BigInteger(), nullable=False),
    sa.Column('post_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('repeated', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('amount > 0', name=op.f('ck_gifts_amount')),
    sa.CheckConstraint('giver_id <> creator_id', name=op.f('ck_gifts_not_oneself')),
    sa.ForeignKeyConstraint(['id'], ['ledger_transfers.id'], name=op.f('fk_gifts_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gifts')),
    sa.UniqueConstraint('public_id', name=op.f('uq_gifts_public_id'))
    )
    op.create_index('ix_gifts_of_creator', 'gifts', ['creator_id', 'created_at'], unique=False)
    op.create_index('ix_gifts_of_giver', 'gifts', ['giver_id', 'created_at'], unique=False)
    op.create_index('ix_gifts_recent', 'gifts', ['created_at'], unique=False, postgresql_using='brin')
    op.create_table('payouts',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.Text(), server_default='pending', nullable=False),
    sa.Column('transfer_id', sa.BigInteger(), nullable=False),
    sa.Column('requested_by', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('approved_by', sa.BigInteger(), nullable=True),
    sa.Column('approved_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('export_id', sa.BigInteger(), nullable=True),
    sa.Column('paid_transfer_id', sa.BigInteger(), nullable=True),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL) AND (state NOT IN ('approved', 'paid', 'reversed') OR approved_by IS NOT NULL)", name=op.f('ck_payouts_approved')),
    sa.CheckConstraint("(state = 'held') <= (reason IS NOT NULL)", name=op.f('ck_payouts_held')),
    sa.CheckConstraint("(state IN ('paid', 'reversed')) = (paid_transfer_id IS NOT NULL)", name=op.f('ck_payouts_paid')),
    sa.CheckConstraint("state IN ('pending', 'held', 'approved', 'paid', 'failed', 'reversed')", name=op.f('ck_payouts_state')),
    sa.CheckConstraint('amount > 0', name=op.f('ck_payouts_amount')),
    sa.CheckConstraint('approved_by <> requested_by AND approved_by <> user_id', name=op.f('ck_payouts_four_eyes')),
    sa.ForeignKeyConstraint(['export_id'], ['payout_exports.id'], name=op.f('fk_payouts_export_id_payout_exports'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['paid_transfer_id'], ['ledger_transfers.id'], name=op.f('fk_payouts_paid_transfer_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['transfer_id'], ['ledger_transfers.id'], name=op.f('fk_payouts_transfer_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payouts')),
    sa.UniqueConstraint('paid_transfer_id', name=op.f('uq_payouts_paid_transfer_id')),
    sa.UniqueConstraint('public_id', name=op.f('uq_payouts_public_id')),
    sa.UniqueConstraint('transfer_id', name=op.f('uq_payouts_transfer_id'))
    )
    op.create_index(op.f('ix_payouts_export_id'), 'payouts', ['export_id'], unique=False)
    op.create_index('ix_payouts_of_user', 'payouts', ['user_id', 'id'], unique=False)
    op.create_index('ix_payouts_open', 'payouts', ['id'], unique=False, postgresql_where=sa.text("state IN ('pending', 'held', 'approved')"))
    op.create_table('top_ups',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), server_default='pending', nullable=False),
    sa.Column('transfer_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(state = 'paid') = (transfer_id IS NOT NULL)", name=op.f('ck_top_ups_paid')),
    sa.CheckConstraint("state IN ('pending', 'paid', 'failed')", name=op.f('ck_top_ups_state')),
    sa.CheckConstraint('amount > 0', name=op.f('ck_top_ups_amount')),
    sa.ForeignKeyConstraint(['transfer_id'], ['ledger_transfers.id'], name=op.f('fk_top_ups_transfer_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_top_ups')),
    sa.UniqueConstraint('public_id', name=op.f('uq_top_ups_public_id')),
    sa.UniqueConstraint('transfer_id', name=op.f('uq_top_ups_transfer_id'))
    )
    op.create_index(op.f('ix_top_ups_user_id'), 'top_ups', ['user_id'], unique=False)
    op.create_table('gift_holds',
    sa.Column('gift_id', sa.BigInteger(), nullable=False),
    sa.Column('period_id', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['gift_id'], ['gifts.id'], name=op.f('fk_gift_holds_gift_id_gifts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['period_id'], ['reward_periods.id'], name=op.f('fk_gift_holds_period_id_reward_periods'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('gift_id', name=op.f('pk_gift_holds'))
    )
    op.create_index(op.f('ix_gift_holds_period_id'), 'gift_holds', ['period_id'], unique=False)
    op.create_table('gift_reversals',
    sa.Column('gift_id', sa.BigInteger(), nullable=False),
    sa.Column('transfer_id', sa.BigInteger(), nullable=False),
    sa.Column('creator_id', sa.BigInteger(), nullable=False),
    sa.Column('owed', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('reversed_by', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('owed >= 0', name=op.f('ck_gift_reversals_owed')),
    sa.ForeignKeyConstraint(['gift_id'], ['gifts.id'], name=op.f('fk_gift_reversals_gift_id_gifts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['transfer_id'], ['ledger_transfers.id'], name=op.f('fk_gift_reversals_transfer_id_ledger_transfers'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('gift_id', name=op.f('pk_gift_reversals')),
    sa.UniqueConstraint('transfer_id', name=op.f('uq_gift_reversals_transfer_id'))
    )
    op.create_index(op.f('ix_gift_reversals_creator_id'), 'gift_reversals', ['creator_id'], unique=False)
    op.create_table('reward_late_lines',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('period_id', sa.BigInteger(), nullable=False),
    sa.Column('creator_id', sa.BigInteger(), nullable=False),
    sa.Column('gift_id', sa.BigInteger(), nullable=False),
    sa.Column('post_id', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('gross', sa.BigInteger(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.CheckConstraint("CASE kind WHEN 'release' THEN amount BETWEEN 0 AND gross ELSE amount < 0 AND gross = 0 END", name=op.f('ck_reward_late_lines_amount')),
    sa.CheckConstraint("kind IN ('release', 'reversal')", name=op.f('ck_reward_late_lines_kind')),
    sa.ForeignKeyConstraint(['gift_id'], ['gifts.id'], name=op.f('fk_reward_late_lines_gift_id_gifts'), ondelete='RESTRICT'),
    sa.ForeignKeyConstraint(['period_id'], ['reward_periods.id'], name=op.f('fk_reward_late_lines_period_id_reward_periods'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reward_late_lines'))
    )
    op.create_index(op.f('ix_reward_late_lines_gift_id'), 'reward_late_lines', ['gift_id'], unique=False)
    op.create_index('ix_reward_late_lines_of_statement', 'reward_late_lines', ['period_id', 'creator_id'], unique=False)
    op.create_index('uq_reward_late_lines_release', 'reward_late_lines', ['gift_id'], unique=True, postgresql_where=sa.text("kind = 'release'"))
    for table in APPEND_ONLY:
        op.execute(GUARD.format(table=table))
    op.execute(PERIODS)


def downgrade():
    for table in (
        "reward_late_lines", "gift_reversals", "gift_holds", "top_ups", "payouts", "gifts", "reward_statements", "reward_lines", "bank_accounts", "reward_periods", "payout_exports", "payment_events"
    ):
        op.drop_table(table)
    op.execute("DROP FUNCTION reward_periods_step()")
