"""Check digits: Verhoeff (Aadhaar) and Luhn (payment cards)."""

from __future__ import annotations

from functools import cache


@cache
def _dihedral() -> tuple[list[list[int]], list[list[int]]]:
    """Return the multiplication of the dihedral group D5 and the powers of Verhoeff's permutation."""
    product = [[0] * 10 for _ in range(10)]
    for a in range(10):
        for b in range(10):
            if a < 5:
                product[a][b] = (a + b) % 5 + (5 if b >= 5 else 0)
            else:
                product[a][b] = (a - b) % 5 + (0 if b >= 5 else 5)
    step = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    powers = [list(range(10))]
    for _ in range(7):
        powers.append([step[digit] for digit in powers[-1]])
    return product, powers


def verhoeff(digits: str) -> bool:
    """Return whether the last digit is Verhoeff's check digit of the others (J. Verhoeff 1969, dihedral group D5)."""
    product, powers = _dihedral()
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = product[check][powers[place % 8][int(digit)]]
    return check == 0


def luhn(digits: str) -> bool:
    """Return whether the digits pass the Luhn test (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
