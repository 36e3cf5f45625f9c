"""scores of posts; what the creator economy's side of the API tells of people and posts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

NOW = sa.text('now()')
RANDOM = sa.text('gen_random_uuid()')


def upgrade():
    for table in ('users', 'posts'):
        op.add_column(table, sa.Column('public_id', sa.Uuid(), server_default=RANDOM, nullable=False))
        op.add_column(table, sa.Column('updated_at', sa.DateTime(timezone=True), server_default=NOW, nullable=False))
        op.execute(f'UPDATE {table} SET updated_at = created_at')
        op.create_unique_constraint(op.f(f'uq_{table}_public_id'), table, ['public_id'])
    op.add_column('users', sa.Column('name', sa.Text(), server_default='', nullable=False))
    op.add_column('posts', sa.Column('kind', sa.Text(), server_default='video', nullable=False))
    op.add_column('posts', sa.Column('link', sa.Text(), nullable=True))
    op.add_column('posts', sa.Column('title', sa.Text(), server_default='', nullable=False))
    op.create_check_constraint(op.f('ck_posts_kind'), 'posts', "kind IN ('video', 'live')")
    op.drop_constraint(op.f('ck_uploads_kind'), 'uploads', type_='check')
    op.create_check_constraint(op.f('ck_uploads_kind'), 'uploads', "kind IN ('single', 'package', 'multipart', 'link')")
    op.create_table('engagement_scores',
    sa.Column('post_id', sa.BigInteger(), nullable=False),
    sa.Column('score', sa.Double(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('likes', sa.BigInteger(), nullable=False),
    sa.Column('shares', sa.BigInteger(), nullable=False),
    sa.Column('comments', sa.BigInteger(), nullable=False),
    sa.Column('views', sa.BigInteger(), nullable=False),
    sa.Column('watch_ms', sa.BigInteger(), nullable=False),
    sa.Column('length_ms', sa.BigInteger(), nullable=False),
    sa.Column('reputation', sa.BigInteger(), nullable=False),
    sa.Column('scored_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('score BETWEEN 0 AND 100', name=op.f('ck_engagement_scores_score')),
    sa.ForeignKeyConstraint(['post_id'], ['posts.id'], name=op.f('fk_engagement_scores_post_id_posts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('post_id', name=op.f('pk_engagement_scores'))
    )
    op.create_table('quality_scores',
    sa.Column('post_id', sa.BigInteger(), nullable=False),
    sa.Column('score', sa.Double(), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('parts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('inputs', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('scored_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('score BETWEEN 0 AND 100', name=op.f('ck_quality_scores_score')),
    sa.CheckConstraint('(score IS NULL) = (reason IS NOT NULL)', name=op.f('ck_quality_scores_reason')),
    sa.ForeignKeyConstraint(['post_id'], ['posts.id'], name=op.f('fk_quality_scores_post_id_posts'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('post_id', name=op.f('pk_quality_scores'))
    )
    op.create_table('reputations',
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('people', sa.BigInteger(), nullable=False),
    sa.Column('counted_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_reputations_user_id_users'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_reputations'))
    )


def downgrade():
    """Posts whose film is kept elsewhere go: what is older does not know them."""
    op.drop_table('reputations')
    op.drop_table('quality_scores')
    op.drop_table('engagement_scores')
    op.execute("DELETE FROM posts WHERE link IS NOT NULL")
    op.execute("DELETE FROM uploads WHERE kind = 'link'")
    op.drop_constraint(op.f('ck_uploads_kind'), 'uploads', type_='check')
    op.create_check_constraint(op.f('ck_uploads_kind'), 'uploads', "kind IN ('single', 'package', 'multipart')")
    for column in ('title', 'link', 'kind'):
        op.drop_column('posts', column)
    op.drop_column('users', 'name')
    for table in ('posts', 'users'):
        for column in ('updated_at', 'public_id'):
            op.drop_column(table, column)
