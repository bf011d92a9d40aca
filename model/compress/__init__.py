"""Smaller checkpoints: fewer weights, fewer values, fewer channels, and as few bytes as that needs.

    plan: steps as TOML          run: one after the other        packed: a file, and back
        |                            |                               |         |
        v                            v                               v         v
    methods/*, a file for       job: the network, its images,    huffman     ranges
    each: paper, options        how it is trained in between                  cells, mixing
        |
        v
    masks, projections          which weights stay; what a weight goes through before it is computed with
    channels, narrow            outputs that go, layer after layer consistent
    moments, rebuild            what the next layer can do without, and its weights refitted
    losses                      what a teacher knows

Only `plan`, `options`, `methods` and what packs can be imported without PyTorch.
"""
