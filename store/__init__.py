"""What was done, kept in SQLite or PostgreSQL; all SQL is here."""
