"""Numbers in sentences."""


def count(number: int, what: str) -> str:
    """So many of something.

    >>> count(1, "generation"), count(0, "seed")
    ('1 generation', '0 seeds')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
