"""State_dicts of PyTorch and checkpoints of TensorFlow: tensors without a graph, whose reading is found by trying it on
labelled images.

`tensors` reads the file of PyTorch, `fivebyfive.model.readers.tensorflow` that of TensorFlow; `weights` puts its
tensors into layers, `geometry` lists the sizes that fit them, `candidates` the functions that may stand between,
`scoring` counts errors of them all, and `reading` decides.
"""
