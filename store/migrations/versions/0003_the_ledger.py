"""The budget ledger: cards, and every attempt that was made with them"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.columns

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('cards',
    sa.Column('processor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('card', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('network', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('country', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('rail', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('forbidden_at', store.columns.UTCDateTime(timezone=True), nullable=True),
    sa.Column('forbidden_until', store.columns.UTCDateTime(timezone=True), nullable=True),
    sa.Column('forbidden_for_good', sa.Boolean(), nullable=False),
    sa.Column('forbidden_why', sa.Text(), nullable=True),
    sa.Column('seen_at', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('processor', 'account', 'card')
    )
    with op.batch_alter_table('cards', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_cards_card'), ['card'], unique=False)

    op.create_table('card_attempts',
    sa.Column('number', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('processor', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('account', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('card', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('key', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('case_id', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('invoice', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('charge', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('source', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('initiator', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('amount', sa.BigInteger(), nullable=False),
    sa.Column('currency', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('decline', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('at', store.columns.UTCDateTime(timezone=True), nullable=False),
    sa.Column('settled_at', store.columns.UTCDateTime(timezone=True), nullable=True),
    sa.Column('fee', sa.BigInteger(), nullable=True),
    sa.Column('fee_currency', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.ForeignKeyConstraint(['case_id'], ['cases.id'], ),
    sa.ForeignKeyConstraint(['processor', 'account', 'card'], ['cards.processor', 'cards.account', 'cards.card'], ),
    sa.PrimaryKeyConstraint('number'),
    sa.UniqueConstraint('key'),
    sa.UniqueConstraint('processor', 'account', 'charge', name='each_charge_once')
    )
    with op.batch_alter_table('card_attempts', schema=None) as batch_op:
        batch_op.create_index('attempts_of_a_card', ['processor', 'account', 'card', 'at'], unique=False)
        batch_op.create_index(batch_op.f('ix_card_attempts_case_id'), ['case_id'], unique=False)



def downgrade() -> None:
    op.drop_table('card_attempts')
    op.drop_table('cards')
