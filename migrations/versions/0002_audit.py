"""The audit log: entries, chain, tree, checkpoints; append-only by trigger and by role"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

APPEND_ONLY = ("audit_entries", "audit_chain", "audit_tiles", "audit_checkpoints")

# Any table can be made append-only with this function.
REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""
# ALWAYS: a session that plays the replica does not get around it.
GUARD = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only
"""
QUEUE = """
CREATE FUNCTION audit_wait_for_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER wait_for_place AFTER INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION audit_wait_for_place();
ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER wait_for_place
"""
FOLLOW = """
CREATE FUNCTION audit_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added LEFT JOIN audit_chain before ON before.seq = added.seq - 1
        WHERE added.prev_hash IS DISTINCT FROM
            CASE WHEN added.seq = 0 THEN decode(repeat('00', 32), 'hex') ELSE before.hash END
    ) THEN
        RAISE EXCEPTION 'a link of audit_chain follows its predecessor' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER INSERT ON audit_chain REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION audit_follow();
ALTER TABLE audit_chain ENABLE ALWAYS TRIGGER follow
"""
# Where we may not make roles, the triggers stand alone. Roles belong to the server and not to the database: another
# database of it may be making the same one now.
ROLE = """
DO $$ BEGIN
    CREATE ROLE popoff_app NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'no right to make the role popoff_app: triggers alone keep the log append-only';
END $$
"""
RIGHTS = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'popoff_app') THEN RETURN; END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO popoff_app', current_schema);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO popoff_app', current_schema);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO popoff_app', current_schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES '
                   'TO popoff_app', current_schema);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO popoff_app',
                   current_schema);
    REVOKE UPDATE, DELETE ON {append_only} FROM popoff_app;
    REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM popoff_app;
END $$
"""
NO_RIGHTS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'popoff_app' AND pg_has_role(oid, 'MEMBER')) THEN
        DROP OWNED BY popoff_app;
    END IF;
END $$
"""


def upgrade():
    op.create_table('audit_entries',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('public_id', sa.Text(), nullable=False),
    sa.Column('time', sa.DateTime(timezone=True), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('actor', sa.Text(), nullable=True),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=True),
    sa.Column('data', postgresql.JSON(astext_type=sa.Text()), nullable=False),
    sa.CheckConstraint(
        "public_id ~ '^[0-9A-Z]{26}$' AND action ~ '^[a-z0-9_.]+$' AND actor ~ '^[0-9a-f]{32}$' "
        "AND subject ~ '^[A-Za-z0-9_.:/+=-]*$'", name=op.f('ck_audit_entries_plain')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_entries')),
    sa.UniqueConstraint('public_id', name=op.f('uq_audit_entries_public_id'))
    )
    op.create_index('ix_audit_entries_action', 'audit_entries', ['action', 'id'], unique=False)
    op.create_index('ix_audit_entries_actor', 'audit_entries', ['actor', 'id'], unique=False, postgresql_where=sa.text('actor IS NOT NULL'))
    op.create_index('ix_audit_entries_subject', 'audit_entries', ['subject', 'id'], unique=False, postgresql_where=sa.text("subject <> ''"))
    op.create_table('audit_pending',
    sa.Column('entry_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_audit_pending'))
    )
    op.create_table('audit_chain',
    sa.Column('seq', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('entry_id', sa.BigInteger(), nullable=False),
    sa.Column('prev_hash', sa.LargeBinary(), nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.CheckConstraint('seq >= 0 AND octet_length(prev_hash) = 32 AND octet_length(hash) = 32', name=op.f('ck_audit_chain_whole')),
    sa.ForeignKeyConstraint(['entry_id'], ['audit_entries.id'], name=op.f('fk_audit_chain_entry_id_audit_entries'), ondelete='RESTRICT'),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_audit_chain')),
    sa.UniqueConstraint('entry_id', name=op.f('uq_audit_chain_entry_id'))
    )
    op.create_table('audit_tiles',
    sa.Column('level', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('position', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('hash', sa.LargeBinary(), nullable=False),
    sa.CheckConstraint('level > 0 AND position >= 0 AND octet_length(hash) = 32', name=op.f('ck_audit_tiles_whole')),
    sa.PrimaryKeyConstraint('level', 'position', name=op.f('pk_audit_tiles'))
    )
    op.create_table('audit_checkpoints',
    sa.Column('size', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('root', sa.LargeBinary(), nullable=False),
    sa.Column('note', sa.Text(), nullable=False),
    sa.Column('time', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('size >= 0 AND octet_length(root) = 32', name=op.f('ck_audit_checkpoints_whole')),
    sa.PrimaryKeyConstraint('size', 'key', name=op.f('pk_audit_checkpoints'))
    )
    op.execute(REFUSE)
    for table in APPEND_ONLY:
        op.execute(GUARD.format(table=table))
    op.execute(QUEUE)
    op.execute(FOLLOW)
    op.execute(ROLE)
    op.execute(RIGHTS.format(append_only=", ".join(APPEND_ONLY)))


def downgrade():
    op.execute(NO_RIGHTS)
    for table in ("audit_checkpoints", "audit_tiles", "audit_chain", "audit_pending", "audit_entries"):
        op.drop_table(table)
    for function in ("audit_follow", "audit_wait_for_place", "refuse_change"):
        op.execute(f"DROP FUNCTION {function}")
