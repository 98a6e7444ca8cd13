"""Random messages, the same each time, of the kinds that compress differently."""

import json
import random


def messages(seed, count=40, longest=60_000):
    """Text and binary: empty, short, repetitive, JSON that resembles what went before, and noise."""
    dice = random.Random(seed)

    def tick():
        return {"id": dice.randrange(1000), "symbol": dice.choice(["AAPL", "MSFT", "ÄÖÜ"]), "price": dice.random()}

    for _ in range(count):
        length = min(longest, int(dice.paretovariate(0.4)))
        kind = dice.randrange(5)
        if kind == 0:
            yield json.dumps([tick() for _ in range(1 + length // 60)], ensure_ascii=False)
        elif kind == 1:
            yield dice.choice(["", "x", "ab", "🥊 "]) * length
        elif kind == 2:
            yield dice.randbytes(length)
        elif kind == 3:
            yield bytes(length)
        else:
            yield (dice.randbytes(50) * (1 + length // 50))[:length]
