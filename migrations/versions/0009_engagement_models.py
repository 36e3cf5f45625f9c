"""engagement scores keep what they were worked out of, and the reasons for them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

COUNTED = ('likes', 'shares', 'comments', 'views', 'watch_ms', 'length_ms', 'reputation')


def upgrade():
    op.add_column('engagement_scores', sa.Column('inputs', JSONB(), server_default='{}', nullable=False))
    op.add_column('engagement_scores', sa.Column('reasons', JSONB(), server_default='[]', nullable=False))
    pairs = ', '.join(f"'{name}', {name}" for name in COUNTED)
    op.execute(f'UPDATE engagement_scores SET inputs = jsonb_build_object({pairs})')


def downgrade():
    op.drop_column('engagement_scores', 'reasons')
    op.drop_column('engagement_scores', 'inputs')
