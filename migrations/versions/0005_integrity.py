"""integrity: flags and decisions about them, fraud reports; the role finance"""

import sqlalchemy as sa
from alembic import op
revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

# Of a flag only its state changes, and only from open, or from confirmed to cleared.
GUARDS = """
CREATE FUNCTION integrity_decide() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(OLD) - 'state' <> to_jsonb(NEW) - 'state'
       OR (OLD.state, NEW.state) NOT IN (('open', 'cleared'), ('open', 'confirmed'), ('confirmed', 'cleared'))
    THEN
        RAISE EXCEPTION 'flags are decided, and nothing else of them changes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER integrity_flags_decide BEFORE UPDATE ON integrity_flags
    FOR EACH ROW EXECUTE FUNCTION integrity_decide();
CREATE TRIGGER integrity_flags_stay BEFORE DELETE OR TRUNCATE ON integrity_flags
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER integrity_decisions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON integrity_decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE integrity_flags ENABLE ALWAYS TRIGGER integrity_flags_decide;
ALTER TABLE integrity_flags ENABLE ALWAYS TRIGGER integrity_flags_stay;
ALTER TABLE integrity_decisions ENABLE ALWAYS TRIGGER integrity_decisions_stay
"""


def upgrade():
    op.drop_constraint(op.f('ck_users_role'), 'users', type_='check')
    op.create_check_constraint(op.f('ck_users_role'), 'users', "role IN ('consumer', 'creator', 'moderator', 'finance', 'admin')")
    op.create_table('integrity_flags',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('entry_id', sa.Text(), nullable=False),
    sa.Column('flag_entry_id', sa.Text(), nullable=False),
    sa.Column('gift_id', sa.Text(), nullable=True),
    sa.Column('rule', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('description', sa.Text(), server_default='', nullable=False),
    sa.Column('raised_by', sa.BigInteger(), nullable=True),
    sa.Column('state', sa.Text(), server_default='open', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("state IN ('open', 'cleared', 'confirmed')", name=op.f('ck_integrity_flags_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_integrity_flags')),
    sa.UniqueConstraint('public_id', name=op.f('uq_integrity_flags_public_id')),
    sa.UniqueConstraint('flag_entry_id', name=op.f('uq_integrity_flags_flag_entry_id')),
    )
    op.create_index('ix_integrity_flags_entry_id', 'integrity_flags', ['entry_id'], unique=False)
    op.create_index('uq_integrity_flags_rule', 'integrity_flags', ['entry_id', 'rule'], unique=True, postgresql_where=sa.text('raised_by IS NULL'))
    op.create_index('uq_integrity_flags_person', 'integrity_flags', ['entry_id', 'raised_by'], unique=True, postgresql_where=sa.text("raised_by IS NOT NULL AND state = 'open'"))
    op.create_index('ix_integrity_flags_open', 'integrity_flags', ['id'], unique=False, postgresql_where=sa.text("state = 'open'"))
    op.create_index('ix_integrity_flags_gift_id', 'integrity_flags', ['gift_id'], unique=False, postgresql_where=sa.text("gift_id IS NOT NULL AND state <> 'cleared'"))
    op.create_table('integrity_decisions',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('flag_id', sa.BigInteger(), nullable=False),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('decided_by', sa.BigInteger(), nullable=False),
    sa.Column('entry_id', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("outcome IN ('cleared', 'confirmed')", name=op.f('ck_integrity_decisions_outcome')),
    sa.ForeignKeyConstraint(['flag_id'], ['integrity_flags.id'], name=op.f('fk_integrity_decisions_flag_id_integrity_flags'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_integrity_decisions')),
    sa.UniqueConstraint('entry_id', name=op.f('uq_integrity_decisions_entry_id')),
    )
    op.create_index('ix_integrity_decisions_flag_id', 'integrity_decisions', ['flag_id'], unique=False)
    op.create_table('fraud_cases',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), server_default='open', nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_by', sa.BigInteger(), nullable=True),
    sa.Column('decision_reason', sa.Text(), nullable=True),
    sa.CheckConstraint("state IN ('open', 'dismissed', 'upheld')", name=op.f('ck_fraud_cases_state')),
    sa.CheckConstraint("kind IN ('person', 'content', 'gift', 'entry')", name=op.f('ck_fraud_cases_kind')),
    sa.CheckConstraint("(state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by IS NULL)", name=op.f('ck_fraud_cases_decided')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fraud_cases')),
    sa.UniqueConstraint('public_id', name=op.f('uq_fraud_cases_public_id')),
    )
    op.create_index('uq_fraud_cases_open', 'fraud_cases', ['subject'], unique=True, postgresql_where=sa.text("state = 'open'"))
    op.create_table('fraud_reports',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('case_id', sa.BigInteger(), nullable=False),
    sa.Column('reporter_id', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('description', sa.Text(), server_default='', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['case_id'], ['fraud_cases.id'], name=op.f('fk_fraud_reports_case_id_fraud_cases'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['reporter_id'], ['users.id'], name=op.f('fk_fraud_reports_reporter_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fraud_reports')),
    sa.UniqueConstraint('public_id', name=op.f('uq_fraud_reports_public_id')),
    sa.UniqueConstraint('case_id', 'reporter_id', name='uq_fraud_reports_case_reporter'),
    )
    op.create_index('ix_fraud_reports_reporter_id', 'fraud_reports', ['reporter_id'], unique=False)
    op.execute(GUARDS)


def downgrade():
    for table in ('fraud_reports', 'fraud_cases', 'integrity_decisions', 'integrity_flags'):
        op.drop_table(table)
    op.execute("DROP FUNCTION integrity_decide")
    op.execute("UPDATE users SET role = 'consumer' WHERE role = 'finance'")
    op.drop_constraint(op.f('ck_users_role'), 'users', type_='check')
    op.create_check_constraint(op.f('ck_users_role'), 'users', "role IN ('consumer', 'creator', 'moderator', 'admin')")
