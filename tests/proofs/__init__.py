"""Proofs about the shipped RTL (docs/proofs.md says which).

bits.py       bit-vector terms with Python's operators, and the question to the solver: does this always hold?
netlist.py    a component becomes a netlist: Amaranth -> RTLIL -> Yosys -> BTOR2, read back as terms, cycle by cycle
names.py      signals of the netlist are called as in the source
induction.py  invariants: they hold after reset, and each clock cycle keeps them
streams.py    what every stream promises
maps.py       what is common to the proofs of memories of maps
products.py   multipliers cut out of a proof
seeded.py     a component with one thing in its source broken, whose proof must fail

A proof is a function or a class of a component; its test calls it with the shipped component and with broken ones.
"""
