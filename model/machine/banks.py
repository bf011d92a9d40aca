"""Weight words of the bank-balanced engine: only weights that are not zero, each with its place.

Lane l of a fully-connected layer has the inputs l, l + 20, ... (in the order of `Config.fc1_order`); input l + 20 p is
at place p of its lane. A group of R outputs has as many words as the fullest lane of any of them needs; in a word
each output has one weight of each lane, or 0. Bytes of a word for R rows: 20 R codes, those of row r at 20 r; 20 R
places likewise; and 1 in the last word of its group, else 0. Bank-balanced sparsity: Cao et al. 2019, FPGA.
"""

import numpy as np

from fivebyfive.model.shape import FC_WORD, ceil_div

__all__ = ["PLACES", "fewest_words", "fullest_lane", "fullest_lanes", "to_weights", "to_words", "words_of_groups"]

PLACES = 256  # of a lane at most: a place is a byte


def lanes(weights: np.ndarray, rows: int) -> np.ndarray:
    """Weights (outputs, inputs) by group, row, place and lane, padded with zeros."""
    outputs, inputs = weights.shape
    padded = np.zeros((ceil_div(outputs, rows) * rows, ceil_div(inputs, FC_WORD) * FC_WORD), np.int8)
    padded[:outputs, :inputs] = weights
    return padded.reshape(-1, rows, padded.shape[1] // FC_WORD, FC_WORD)


def fullest_lane(weights: np.ndarray) -> np.ndarray:
    """Of each output (rows of ``weights``) the weights that are not zero in its fullest lane."""
    return (lanes(weights, 1) != 0).sum(axis=2).max(axis=(1, 2))


def fewest_words(weights: np.ndarray) -> np.ndarray:
    """The same if each output's weights lay evenly in its lanes: never more, in whatever order inputs come."""
    return -(-np.count_nonzero(weights, axis=1) // FC_WORD)


def words_of_groups(fullest: np.ndarray, rows: int) -> tuple[int, ...]:
    """Words of each group of ``rows`` outputs whose fullest lanes have so many weights, one at least."""
    padded = np.append(fullest, np.zeros(-len(fullest) % rows, int))
    return tuple(np.maximum(1, padded.reshape(-1, rows).max(axis=1)).tolist())


def fullest_lanes(weights: np.ndarray, rows: int) -> tuple[int, ...]:
    """Words of each group of ``rows`` outputs: the weights that are not zero in its fullest lane, one at least."""
    return words_of_groups(fullest_lane(weights), rows)


def to_words(weights: np.ndarray, rows: int, words: tuple[int, ...]) -> np.ndarray:
    """The words of a layer, int8 (sum of ``words``, 40 R + 1). Raises ValueError where a group needs more."""
    found = fullest_lanes(weights, rows)
    if len(found) != len(words) or any(need > there for need, there in zip(found, words, strict=True)):
        raise ValueError("an output has more weights in a lane than this machine has words for; generate it again")
    codes, places, last = (np.zeros((sum(words), size), np.uint8) for size in (rows * FC_WORD, rows * FC_WORD, 1))
    at = 0
    for group, count in zip(lanes(weights, rows), words, strict=True):
        used = group != 0
        order = used.cumsum(axis=1) - 1  # number of a weight among those of its lane
        row, place, lane = np.nonzero(used)
        word = at + order[row, place, lane]
        codes[word, row * FC_WORD + lane] = group[row, place, lane].view(np.uint8)
        places[word, row * FC_WORD + lane] = place
        at += count
        last[at - 1] = 1
    return np.concatenate([codes, places, last], axis=1).view(np.int8)


def to_weights(image: np.ndarray, rows: int, outputs: int, inputs: int) -> np.ndarray:
    """The weights (outputs, inputs) of a layer's words: the inverse of `to_words`."""
    codes, places = image[:, : rows * FC_WORD], image[:, rows * FC_WORD : -1].view(np.uint8)
    group = np.concatenate([[0], image[:-1, -1].astype(int).cumsum()])
    found = np.zeros((ceil_div(outputs, rows), rows, ceil_div(inputs, FC_WORD), FC_WORD), np.int8)
    word, column = np.nonzero(codes)
    row, lane = np.divmod(column, FC_WORD)
    found[group[word], row, places[word, column], lane] = codes[word, column]
    return found.reshape(-1, found.shape[2] * FC_WORD)[:outputs, :inputs]
