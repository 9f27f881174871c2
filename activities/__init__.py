"""Side effects, each idempotent by a named key; they ask the planner and never decide a time themselves."""
