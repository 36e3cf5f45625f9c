"""a gift lies in no time that is closed, whatever the clock of its writer says"""

from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

# Whoever gives shares the door that closing a period has alone (3, 0), so that what is read here is read after it was
# closed: a function reads with eyes of its own, and not with those of the statement that began before.
GUARD = """
CREATE FUNCTION gifts_after_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(3, 0);
    NEW.created_at := greatest(NEW.created_at, (SELECT max(ends_at) FROM reward_periods));
    RETURN NEW;
END $$;
CREATE TRIGGER after_closing BEFORE INSERT ON gifts FOR EACH ROW EXECUTE FUNCTION gifts_after_closing();
ALTER TABLE gifts ENABLE ALWAYS TRIGGER after_closing
"""


def upgrade():
    op.execute(GUARD)


def downgrade():
    op.execute("DROP TRIGGER after_closing ON gifts")
    op.execute("DROP FUNCTION gifts_after_closing()")
