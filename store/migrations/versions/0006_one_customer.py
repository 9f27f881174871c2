"""One customer, several failures: whose turn it is, and the level of each message"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.columns

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('customer_turns',
    sa.Column('processor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('customer', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('owner', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('until', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('processor', 'account', 'customer')
    )
    # Plainly, on SQLite too: a column without a value is added in place, whatever the size of the table.
    op.add_column('messages', sa.Column('level', sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column('messages', 'level')
    op.drop_table('customer_turns')
