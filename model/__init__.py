"""The network in numbers: what it is, how it is trained, what every layer must come to. Imports no HDL.

    datasets, idx, download, images      train, quantize
        pixels 0..255  ----------------->  stages, fit, course, saved, lenet, augment, state (PyTorch)
              |                                  |
              |                                  v
              |                       checkpoint: int8 arrays, their shape
              v                             |              |
    golden: every layer in exact  <---------+              v
    integers (q26: the arithmetic)                weights: BRAM words and addresses
              |                                   config: size of the machine; cycles: its clocks
              v                                            |
    evaluate, report: errors, wraps                        v   fivebyfive.hw

Follow an image: `images.load_images`, `golden.forward`, `golden.classify`. Follow a weight: `train.train`,
`checkpoint.save_checkpoint`, `weights.pack`. `errors`, `files`, `temporary`, `guard`, `progress` and `extras` serve
all.

`compress` makes checkpoints smaller, and stores them in few bytes. `engines` chooses the hardware that gains by it:
`weight_form` has the plain data of that choice, `banks` the words of weights that are not zero, `energy` an estimate.

`parts` lists devices, `area` estimates what a size takes of one, `measurement` is a row of such figures, `comparison`
one of a checkpoint's.
`registers` is the map of the AXI core's registers, for hardware, documents and driver alike.

`pictures` makes MNIST's form of a person's picture: `ink` tells ink from paper, `blobs` what may be one digit, on the
coarser `grid`. `link` is the language of a board's serial line.
"""
