"""Whom money came to is found by an index of the log"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade():
    op.create_index(
        'ix_audit_entries_received',
        'audit_entries',
        [sa.text("coalesce(data->>'creator', data->>'wallet')"), 'action', 'public_id'],
        postgresql_where=sa.text("action IN ('send_gift', 'wallet_grant')"),
    )


def downgrade():
    op.drop_index('ix_audit_entries_received', table_name='audit_entries')
