"""Circuit breakers: what charges were answered, minute by minute, and what is held"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.columns

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('answer_counts',
    sa.Column('minute', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.Column('processor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('network', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('country', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('shard', sa.Integer(), nullable=False),
    sa.Column('answers', sa.Integer(), nullable=False),
    sa.Column('away', sa.Integer(), nullable=False),
    sa.Column('issuer_away', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('minute', 'processor', 'account', 'network', 'country', 'shard')
    )
    op.create_table('breakers',
    sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('open', sa.Boolean(), nullable=False),
    sa.Column('since', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.Column('until', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.Column('rest', sa.Float(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('lent', sa.Integer(), nullable=False),
    sa.Column('good', sa.Integer(), nullable=False),
    sa.Column('lent_at', store.columns.UTCDateTime(timezone=True), nullable=True),
    sa.Column('by', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    sa.Column('changed_at', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name')
    )


def downgrade() -> None:
    op.drop_table('breakers')
    op.drop_table('answer_counts')
