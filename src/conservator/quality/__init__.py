"""How good a result is: against a known truth, and whether it can still be the same photograph."""
