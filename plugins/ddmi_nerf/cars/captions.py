"""Sentences about cars, each word of which is true of the car."""

from __future__ import annotations

from itertools import combinations

from ddmi_nerf.cars.parameters import Parameters


def captions(car: Parameters) -> tuple[str, ...]:
    """Different sentences about a car: the first names its kind alone, the last all that is known."""
    plain, coloured = f"a {car.kind}", f"{_article(car.colour)} {car.colour} {car.kind}"
    found = [plain, coloured]
    details = features(car)
    for count in range(1, len(details) + 1):
        for chosen in combinations(details, count):
            found.append(f"{coloured} with {_listed(chosen)}")
    return tuple(found)


def features(car: Parameters) -> list[str]:
    """What may follow `with`: all that the car has beside its colour and kind."""
    found = []
    if car.second != car.colour:
        what = {"truck": "box", "bus": "roof"}.get(car.kind, "cabin")
        found.append(f"{_article(car.second)} {car.second} {what}")
    if car.stripe:
        found.append(f"{_article(car.stripe)} {car.stripe} stripe")
    found += ["a spoiler"] * car.spoiler + ["a roof rack"] * car.rack + ["a spare wheel at the back"] * car.spare
    if not car.windows:
        found.append("closed sides")
    return found


def _listed(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
