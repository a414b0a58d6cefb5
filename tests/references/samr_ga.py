"""Self-adaptive mutation rates on the simple genetic algorithm: a child inherits its parent's, mutated."""

from references import simple_ga


class Reference(simple_ga.Reference):
    def rate(self, i, parent_rate, u):
        return parent_rate * 2.0**u
