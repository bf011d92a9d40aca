"""Would a bench notice? Mutants, equivalence proofs, coverage and its exclusions."""
