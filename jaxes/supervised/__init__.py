"""Learning from examples without back-propagation: the fitness of a member is its negative loss on a batch."""

from jaxes.supervised.data import Data, digits, mnist, sine
from jaxes.supervised.idx import read_idx
from jaxes.supervised.problem import State, correct, held_out, problem

__all__ = ["Data", "State", "correct", "digits", "held_out", "mnist", "problem", "read_idx", "sine"]
