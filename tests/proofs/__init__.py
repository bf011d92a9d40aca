"""Proofs about the shipped RTL.

bits.py      bit-vector terms with Python's operators, and the one question to the solver: does this always hold?
netlist.py   a component becomes a netlist: Amaranth -> RTLIL -> Yosys -> BTOR2, read back as terms
induction.py invariants: they hold after reset, and each clock cycle keeps them
seeded.py    a component with one thing in its source broken, whose proof must fail

A proof is a function of a component; its test calls it with the shipped component and with broken ones.
"""
