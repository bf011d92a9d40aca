"""The network in numbers: what it is, how it is trained, what every layer must compute. Imports no HDL.

    data: datasets, idx, images          training: train, quantize
        pixels 0..255  ----------------->  stage, loop, calibration, state, resume, lenet, tables, augment (PyTorch)
              |                                  |
              |                                  v
              |                       checkpoint: int8 arrays, their shape
              v                             |              |
    golden: every layer in exact  <---------+              v
    integers (q26: the arithmetic)                machine: weights, BRAM words and addresses;
              |                                   config, size of the hardware; cycles, its clocks
              v                                            |
    evaluate: errors, wraps                                v   fivebyfive.hw

Follow an image: `data.images.load_images`, `golden.forward`, `golden.classify`. Follow a weight:
`training.train.train`, `checkpoint.save_checkpoint`, `machine.weights.pack`. Files, errors and progress are in
`fivebyfive.support`.

Room `compress` makes checkpoints smaller, and stores them in few bytes. `machine.engines` chooses the hardware that
gains by it: `weight_form` has the plain data of that choice, `banks` the words of weights that are not zero.

Room `estimates`: `parts` lists devices, `area` estimates what a size takes of one, `energy` what an image takes;
`measurement` is a row of such figures, `comparison` one of a checkpoint's. Room `protocol`: the AXI core's registers
and the frames of a board's serial line, for hardware, documents and driver alike.

Room `data`: `pictures` makes MNIST's form of a person's picture: `ink` tells ink from paper, `blobs` what may be one
digit, on the coarser `grid`.
"""
