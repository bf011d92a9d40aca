"""State_dicts of PyTorch: tensors without a graph, whose reading is found by trying it on labelled images.

`tensors` reads the file, `weights` puts its tensors into layers, `geometry` lists the sizes that fit them, `candidates`
the functions that may stand between, `scoring` counts errors of them all, and `reading` decides.
"""
