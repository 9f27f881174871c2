"""What a campaign says and what it means: pure values and pure functions, without a clock."""
