"""Checkpoints of TensorFlow (TensorBundle, what tf.train.Saver and tf.train.Checkpoint write): variables without a
graph, under the names and in the order of axes that the reader of state_dicts takes.

`table` reads the .index file, a table of LevelDB, `bundle` the variables that it lists, `variables` turns theirs into
PyTorch's names and axes, and leaves out what belongs to training.
"""
