"""Durable code only: wait, ask what is next, call an activity, take signals."""
