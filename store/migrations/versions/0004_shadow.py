"""Cases in shadow, in which everything is only imagined"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

REPORTED = ["campaign", "arm", "currency", "chosen_by", "outcome", "closed_at", "amount"]


def upgrade() -> None:
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.drop_index("cases_for_reports")
        batch_op.create_index("cases_for_reports", [*REPORTED, "shadow"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.drop_index("cases_for_reports")
        batch_op.drop_column("shadow")
        batch_op.create_index("cases_for_reports", REPORTED, unique=False)
