"""Payment processors behind one protocol; each speaks for one outside system and keeps nothing of ours."""
