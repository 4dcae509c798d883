"""Mathematics problems with true answers: numbers from code, words from phrases/problems.txt.

Each entry of KINDS draws the numbers of one kind of problem and works out its answer exactly (whole numbers and
fractions, never floats). `Problem.values` keeps what was drawn, so that an answer can be checked by other means.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, factorial, gcd, perm, prod

from curation.sample.grammar import Grammar, load_grammar

Values = dict[str, int | str]

_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem, its solution step by step, a wrong turn, a check, and the answer as the solution ends with it."""

    kind: str
    question: str
    steps: tuple[str, ...]
    slip: str
    check: str
    answer: str
    values: Values

    @property
    def solution(self) -> str:
        return " ".join(self.steps)


def fraction_text(value: Fraction) -> str:
    """A whole number as digits, anything else as \\frac{p}{q} in lowest terms."""
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _linear(rng: random.Random) -> Values:
    a, x, b = rng.randint(2, 39), rng.randint(2, 99), rng.randint(2, 250)
    return {"a": a, "b": b, "c": a * x + b, "d": a * x, "wrong": a * x + 2 * b, "answer": x}


def _quadratic(rng: random.Random) -> Values:
    r1, r2 = rng.randint(2, 30), rng.randint(2, 30)
    s, p = r1 + r2, r1 * r2
    return {"s": s, "p": p, "ss": s * s, "pp": 2 * p, "r1": r1, "r2": r2, "answer": r1 * r1 + r2 * r2}


def _gcd(rng: random.Random) -> Values:
    common = rng.randint(2, 60)
    a, b = sorted((common * rng.randint(3, 60), common * rng.randint(3, 60)), reverse=True)
    a += common * (a == b)
    answer, chain, left, right = gcd(a, b), [], a, b
    while right:
        chain.append(f"${left} = {left // right} \\cdot {right} + {left % right}$")
        left, right = right, left % right
    wrong = next((d for d in range(2, answer) if answer % d == 0), 1)
    return {"a": a, "b": b, "chain": ", ".join(chain), "wrong": wrong, "qa": a // answer, "qb": b // answer, "answer": answer}


def _modpow(rng: random.Random) -> Values:
    a, e, m = rng.randint(2, 19), rng.randint(17, 220), rng.choice((7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47))
    a += a % m == 0
    squares, value, power = [], a % m, 1
    residues: dict[int, int] = {}
    while power <= e:
        squares.append(f"${a}^{{{power}}} \\equiv {value}$")
        residues[power] = value
        value, power = value * value % m, power * 2
    parts = [power for power in residues if e & power]
    product = "$" + " \\cdot ".join(str(residues[power]) for power in parts) + f" \\equiv {pow(a, e, m)} \\pmod{{{m}}}$"
    binary = " + ".join(str(power) for power in reversed(parts))
    shown: Values = {"squares": ", ".join(squares), "binary": binary, "product": product, "wrong": e % m}
    return {"a": a, "e": e, "m": m, **shown, "answer": pow(a, e, m)}


def _series(rng: random.Random) -> Values:
    a, d, n = rng.randint(1, 60), rng.randint(2, 25), rng.randint(8, 60)
    last = a + (n - 1) * d
    more: Values = {"a2": a + d, "a3": a + 2 * d, "last": last, "wrong": a + n * d}
    return {"a": a, "d": d, "n": n, **more, "answer": n * (a + last) // 2}


def _choose(rng: random.Random) -> Values:
    n = rng.randint(6, 24)
    k = rng.randint(2, min(5, n - 3))
    falling = " \\cdot ".join(str(n - i) for i in range(k))
    factors = " \\cdot ".join(str(k - i) for i in range(k))
    shown: Values = {"falling": falling, "factors": factors, "top": perm(n, k), "bottom": factorial(k), "rest": n - k}
    return {"n": n, "k": k, **shown, "answer": comb(n, k)}


def _letters(rng: random.Random) -> Values:
    word = load_grammar().expand("letters.word", rng)
    repeated = {letter: count for letter, count in Counter(word).items() if count > 1}
    top, bottom = factorial(len(word)), prod(factorial(count) for count in repeated.values())
    counts = ", ".join(f"{letter} {_NUMBER_WORDS[count]} times" for letter, count in repeated.items())
    return {"word": word, "n": len(word), "top": top, "bottom": bottom, "counts": counts, "answer": top // bottom}


def _derivative(rng: random.Random) -> Values:
    c3, c2, c1, c0, p = (rng.randint(1, high) for high in (9, 15, 30, 60, 8))
    answer = 3 * c3 * p * p + 2 * c2 * p + c1

    def value(x: int) -> int:
        return c3 * x**3 + c2 * x**2 + c1 * x + c0

    return {
        "c3": c3, "c2": c2, "c1": c1, "p": p, "poly": polynomial((c3, c2, c1, c0)),
        "polyt": polynomial((c3, c2, c1, c0), "t"), "dpoly": polynomial((3 * c3, 2 * c2, c1)),
        "terms": f"{3 * c3 * p * p} + {2 * c2 * p} + {c1}", "wrong": value(p),
        "quotient": (value(p + 1) - value(p - 1)) // 2, "answer": answer,
    }  # fmt: skip


def _integral(rng: random.Random) -> Values:
    a, c, d, b = rng.randint(1, 6), rng.randint(1, 9), rng.randint(1, 20), rng.randint(2, 9)
    return {
        "a": a, "c": c, "d": d, "b": b, "poly": polynomial((3 * a, 2 * c, d)), "anti": polynomial((a, c, d, 0)),
        "terms": f"{a * b**3} + {c * b * b} + {d * b}", "wrong": 3 * a * b * b + 2 * c * b + d,
        "answer": a * b**3 + c * b * b + d * b,
    }  # fmt: skip


def _determinant(rng: random.Random) -> Values:
    a, b, c, d = (rng.randint(1, 25) for _ in range(4))
    return {"a": a, "b": b, "c": c, "d": d, "ad": a * d, "bc": b * c, "wrong": a * d + b * c, "answer": a * d - b * c}


def _dice(rng: random.Random) -> Values:
    s = rng.randint(2, 12)
    pairs = [(i, s - i) for i in range(1, 7) if 1 <= s - i <= 6]
    shown = ", ".join(f"$({i}, {j})$" for i, j in pairs)
    return {"s": s, "pairs": shown, "f": len(pairs), "mirror": 14 - s, "answer": fraction_text(Fraction(len(pairs), 36))}


def _area(rng: random.Random) -> Values:
    det = 0
    while det == 0:
        x1, y1, x2, y2, x3, y3 = (rng.randint(0, 20) for _ in range(6))
        u1, u2, v1, v2 = x2 - x1, y2 - y1, x3 - x1, y3 - y1
        det = u1 * v2 - u2 * v1
    corners: Values = {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "x3": x3, "y3": y3}
    shown: Values = {"u1": u1, "u2": u2, "v1": v1, "v2": v2, "det": det, "wrong": abs(det)}
    return {**corners, **shown, "answer": fraction_text(Fraction(abs(det), 2))}


def _ladder(rng: random.Random) -> Values:
    p, q = rng.choice([(p, q) for p in range(2, 9) for q in range(1, p) if gcd(p, q) == 1 and (p - q) % 2])
    k = rng.randint(1, 9)
    a, b = rng.sample((k * (p * p - q * q), k * 2 * p * q), 2)
    c = k * (p * p + q * q)
    return {"a": a, "c": c, "aa": a * a, "bb": b * b, "cc": c * c, "wrong": c - a, "answer": b}


def _shopping(rng: random.Random) -> Values:
    n, m = rng.sample(range(2, 16), 2)
    p, q = rng.randint(12, 180), rng.randint(12, 180)
    total = n * p + m * q
    paid = (total // 500 + rng.randint(1, 3)) * 500
    shown: Values = {"np": n * p, "mq": m * q, "total": total, "wrong": (p + q) * (n + m)}
    return {"n": n, "m": m, "p": p, "q": q, "paid": paid, **shown, "answer": paid - total}


def _journey(rng: random.Random) -> Values:
    t1, t2 = rng.sample(range(2, 12), 2)
    v1, v2 = rng.sample(range(12, 141), 2)
    d1, d2 = t1 * v1, t2 * v2
    return {"t1": t1, "t2": t2, "v1": v1, "v2": v2, "d1": d1, "d2": d2, "wrong": (v1 + v2) * (t1 + t2) // 2, "answer": d1 + d2}


def _discount(rng: random.Random) -> Values:
    p, r = 20 * rng.randint(3, 90), 5 * rng.randint(1, 15)
    off = p * r // 100
    one = f"{p // 100}.{p % 100:02d}"
    return {"p": p, "r": r, "one": one, "off": off, "left": 100 - r, "answer": p - off}


def _divisors(rng: random.Random) -> Values:
    exponents = {prime: rng.randint(1, 3 if prime < 7 else 1) for prime in sorted(rng.sample((2, 3, 5, 7, 11, 13), 3))}
    n = prod(prime**exponent for prime, exponent in exponents.items())
    factored = " \\cdot ".join(f"{prime}^{exponent}" if exponent > 1 else str(prime) for prime, exponent in exponents.items())
    product = " \\cdot ".join(str(exponent + 1) for exponent in exponents.values())
    first = ", ".join(f"${d}$" for d in [d for d in range(1, n + 1) if n % d == 0][:4])
    wrong = prod(exponents.values())
    answer = prod(exponent + 1 for exponent in exponents.values())
    return {"n": n, "factored": factored, "product": product, "first": first, "wrong": wrong, "answer": answer}


def _crt(rng: random.Random) -> Values:
    m, n = rng.choice([(m, n) for m in range(4, 24) for n in range(3, 14) if m != n and gcd(m, n) == 1])
    a, b = rng.randint(1, m - 1), rng.randint(1, n - 1)
    listed = [a]
    while listed[-1] % n != b:
        listed.append(listed[-1] + m)
    x = listed[-1]
    shown: Values = {
        "listed": ", ".join(f"${value}$" for value in listed),
        "remainders": ", ".join(f"${value % n}$" for value in listed),
    }
    return {"m": m, "n": n, "a": a, "b": b, **shown, "wrong": a + b, "qm": x // m, "qn": x // n, "answer": x}


def _expectation(rng: random.Random) -> Values:
    k, a, b = rng.randint(3, 20), rng.randint(1, 60), rng.randint(0, 20)
    i = rng.randint(1, k - 1)
    total = a * i + b * (k - i)
    shown: Values = {"j": k - i, "sum": total, "wrong": fraction_text(Fraction(a + b, 2))}
    return {"k": k, "a": a, "b": b, "i": i, **shown, "answer": fraction_text(Fraction(total, k))}


def _geometric(rng: random.Random) -> Values:
    a, q, n = rng.randint(1, 12), rng.randint(2, 5), rng.randint(4, 9)
    shown: Values = {"a2": a * q, "a3": a * q * q, "m": n - 1, "power": q**n, "power1": q**n - 1, "d": q - 1}
    shown |= {"wrong": a * q ** (n - 1), "next": a * q**n}
    return {"a": a, "q": q, "n": n, **shown, "answer": a * (q**n - 1) // (q - 1)}


def _system(rng: random.Random) -> Values:
    b = rng.randint(2, 20)
    d, x, y = rng.randint(2, 15), rng.randint(3, 60), rng.randint(3, 60)
    a, s = b + d, x + y
    c = a * x + b * y
    return {"a": a, "b": b, "s": s, "c": c, "d": d, "bs": b * s, "rest": c - b * s, "y": y, "wrong": c // (a + b), "answer": x}


def _mean(rng: random.Random) -> Values:
    n, m = rng.randint(3, 12), rng.randint(12, 95)
    answer = m + rng.randint(-10, 25)
    t = n * m - answer
    word = _NUMBER_WORDS[n - 1]
    return {"n": n, "m": m, "t": t, "lessword": word, "total": n * m, "wrong": t // (n - 1), "answer": answer}


def _work(rng: random.Random) -> Values:
    a, b = rng.sample(range(2, 31), 2)
    shown: Values = {"sum": a + b, "prod": a * b, "wrong": fraction_text(Fraction(a + b, 2))}
    return {"a": a, "b": b, **shown, "answer": fraction_text(Fraction(a * b, a + b))}


KINDS: dict[str, Callable[[random.Random], Values]] = {
    "linear": _linear, "quadratic": _quadratic, "gcd": _gcd, "modpow": _modpow, "series": _series, "choose": _choose,
    "letters": _letters, "derivative": _derivative, "integral": _integral, "determinant": _determinant, "dice": _dice,
    "area": _area, "ladder": _ladder, "shopping": _shopping, "journey": _journey, "discount": _discount,
    "divisors": _divisors, "crt": _crt, "expectation": _expectation, "geometric": _geometric, "system": _system,
    "mean": _mean, "work": _work,
}  # fmt: skip


def polynomial(coefficients: Sequence[int], variable: str = "x") -> str:
    """LaTeX of a polynomial with positive coefficients, highest power first; zero coefficients are left out."""
    terms = []
    for power, coefficient in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        if coefficient == 0:
            continue
        number = "" if coefficient == 1 and power else str(coefficient)
        letter = {0: "", 1: variable}.get(power, f"{variable}^{power}")
        terms.append(number + letter)
    return " + ".join(terms)


def make_problem(kind: str, rng: random.Random, grammar: Grammar, *, question_rule: str | None = None) -> Problem:
    """A problem of one kind. `question_rule` words the question by another rule, such as a benchmark's own."""
    values = KINDS[kind](rng)
    if kind == "shopping":
        values["thing"], values["other"] = grammar.sample("thing", 2, rng)
    question = grammar.expand(question_rule or f"{kind}.question", rng, values)
    return _solved(kind, question, values, rng, grammar)


def reword(problem: Problem, rng: random.Random, grammar: Grammar, *, answer: str | None = None) -> Problem:
    """The same problem, its solution, slip and check drawn anew; with another `answer`, wrong where they come to it."""
    values = problem.values if answer is None else {**problem.values, "answer": answer}
    return _solved(problem.kind, problem.question, values, rng, grammar)


def _solved(kind: str, question: str, values: Values, rng: random.Random, grammar: Grammar) -> Problem:
    return Problem(
        kind=kind,
        question=question,
        steps=tuple(grammar.expand(f"{kind}.solution", rng, values).split(" // ")),
        slip=grammar.expand(f"{kind}.slip", rng, values),
        check=grammar.expand(f"{kind}.check", rng, values),
        answer=str(values["answer"]),
        values=values,
    )
