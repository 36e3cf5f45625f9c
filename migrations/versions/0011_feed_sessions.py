"""The feed remembers what it showed, what people met last and do not want, and whom it owes an audience"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def _person(name='user_id', **options):
    return sa.Column(name, sa.BigInteger(), sa.ForeignKey('users.id', ondelete='CASCADE'), **options)


def _post(**options):
    return sa.Column('post_id', sa.BigInteger(), sa.ForeignKey('posts.id', ondelete='CASCADE'), **options)


def _moment(name, **options):
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def upgrade():
    op.add_column('person_interests', sa.Column('recent', sa.LargeBinary(), server_default=sa.text("''::bytea"), nullable=False))
    op.create_table(
        'owed_posts',
        _post(primary_key=True),
        sa.Column('shuffle', sa.Double(), server_default=sa.func.random(), nullable=False, index=True),
        _moment('since', server_default=sa.func.now(), nullable=False),
    )
    op.create_table(
        'impressions',
        sa.Column('page_id', sa.Uuid(), primary_key=True),
        sa.Column('position', sa.BigInteger(), primary_key=True),
        sa.Column('session_id', sa.Uuid(), nullable=False, index=True),
        sa.Column('user_id', sa.BigInteger(), nullable=False),
        sa.Column('post_id', sa.BigInteger(), nullable=False, index=True),
        sa.Column('source', sa.Text(), nullable=False),
        sa.Column('ranker', sa.Text(), nullable=False),
        sa.Column('pool', sa.ARRAY(sa.BigInteger()), nullable=True),
        _moment('served_at', nullable=False),
        _moment('seen_at', nullable=True),
        sa.CheckConstraint('position >= 0', name='position'),
    )
    op.create_index('ix_impressions_of_person', 'impressions', ['user_id', 'post_id'])
    op.create_index('ix_impressions_served', 'impressions', ['served_at'])
    op.create_table(
        'impression_tallies',
        _post(primary_key=True),
        sa.Column('source', sa.Text(), primary_key=True),
        sa.Column('served', sa.BigInteger(), nullable=False),
        sa.Column('seen', sa.BigInteger(), nullable=False),
        sa.CheckConstraint('seen >= 0 AND served >= seen', name='seen_was_served'),
    )
    op.create_table(
        'dismissals',
        _person(primary_key=True),
        _post(primary_key=True, index=True),
        _moment('created_at', server_default=sa.func.now(), nullable=False),
    )
    op.create_index('ix_dismissals_recent', 'dismissals', ['created_at'], postgresql_using='brin')
    op.create_table(
        'muted_creators',
        _person(primary_key=True),
        _person('creator_id', primary_key=True, index=True),
        _moment('created_at', server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint('user_id <> creator_id', name='not_oneself'),
    )
    op.create_table(
        'muted_words',
        _person(primary_key=True),
        sa.Column('word', sa.Text(), primary_key=True),
        _moment('created_at', server_default=sa.func.now(), nullable=False),
    )
    op.create_table(
        'feed_experiments',
        sa.Column('name', sa.Text(), primary_key=True),
        sa.Column('challenger', sa.Text(), nullable=False),
        sa.Column('share', sa.Double(), nullable=False),
        _moment('started_at', nullable=False),
        _moment('ended_at', nullable=True),
        sa.CheckConstraint('share > 0 AND share < 1', name='share'),
    )
    op.create_index(
        'uq_feed_experiments_running',
        'feed_experiments',
        [sa.text('(ended_at IS NULL)')],
        unique=True,
        postgresql_where=sa.text('ended_at IS NULL'),
    )
    op.execute(
        'INSERT INTO owed_posts (post_id, since) SELECT id, playable_at FROM posts '
        "WHERE playable_at > now() - interval '7 days' AND deleted_at IS NULL"
    )
    op.execute('INSERT INTO dismissals (user_id, post_id, created_at) SELECT reporter_id, post_id, created_at FROM reports')


def downgrade():
    for table in (
        'feed_experiments', 'muted_words', 'muted_creators', 'dismissals', 'impression_tallies', 'impressions',
        'owed_posts',
    ):
        op.drop_table(table)
    op.drop_column('person_interests', 'recent')
