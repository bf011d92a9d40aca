"""Terminal, tables, plots; where results go and who holds the lock."""
