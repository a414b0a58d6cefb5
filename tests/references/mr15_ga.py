"""The one-fifth success rule on the simple genetic algorithm: the rate doubles or halves."""

from fractions import Fraction

from references import simple_ga


class Reference(simple_ga.Reference):
    def adapt(self, values):
        better = [value < before for value, before in zip(values[1:], self.before[1:], strict=True)]
        share = Fraction(sum(better), len(better))
        if share > Fraction(1, 5):
            self.sigma = self.sigma * 2
        elif share < Fraction(1, 5):
            self.sigma = self.sigma / 2
