"""Open-text prompts of our own for training the shipped artifact: facts, explanations, writing, code, small talk.

Made from short lists, so that nothing is taken from anybody's data set. What they ask does not matter; that they are no
chains of single digits does. Some carry numbers and formulae on purpose."""

from __future__ import annotations

import random

_COUNTRIES = [
    "France",
    "Japan",
    "Kenya",
    "Peru",
    "Norway",
    "Canada",
    "Egypt",
    "Brazil",
    "India",
    "Poland",
    "Chile",
    "Vietnam",
    "Greece",
    "Ghana",
    "Iceland",
]
_THINGS = [
    "a volcano",
    "photosynthesis",
    "a hash table",
    "inflation",
    "the tides",
    "a jet engine",
    "recursion",
    "yeast",
    "an eclipse",
    "gravity",
    "a database index",
    "compound interest",
    "an earthquake",
    "the water cycle",
    "a neural network",
    "a heat pump",
]
_PEOPLE = [
    "my sister",
    "a new colleague",
    "our landlord",
    "the whole team",
    "a customer",
    "my old teacher",
    "the neighbours",
]
_ERRANDS = [
    "thanking them for their help",
    "asking for a day off",
    "about a broken heater",
    "inviting them to dinner",
    "saying that the meeting has moved to 3 pm",
    "about an invoice of 120 euros",
    "declining politely",
]
_TASKS = [
    "reverses a string",
    "counts the words in a file",
    "checks whether a number is prime",
    "sorts a list of dates",
    "adds two matrices",
    "reads a CSV file and prints the mean",
    "removes duplicates from a list",
    "parses an e-mail address",
]
_LANGUAGES = ["Python", "Rust", "Go", "JavaScript", "SQL", "Bash"]
_SENTENCES = [
    "Where is the nearest station?",
    "I would like two coffees, please.",
    "The train leaves at 7:45.",
    "It is raining again.",
    "My room has no window.",
    "How much does this cost?",
]
_TONGUES = ["French", "Spanish", "German", "Italian", "Dutch"]
_STORIES = [
    "a lost key",
    "two rival bakers",
    "a robot that is afraid of water",
    "the last lighthouse",
    "a very slow train",
]
_TALK = [
    "Hello!",
    "Hi, who are you?",
    "Good morning, how are you today?",
    "Thanks, that helped a lot.",
    "Tell me a joke.",
    "What can you do?",
    "I am bored, any idea?",
    "Can you help me?",
    "Count to five.",
    "Say hello in three words.",
    "Wrong, try again.",
    "Please explain that more simply.",
    "Why?",
    "And then?",
    "ok",
    "Is that true?",
]
_SUMS = [
    "What is 17 * 23?",
    "How much is 12.5 % of 80?",
    "What is 144 divided by 12?",
    "Solve x^2 - 5x + 6 = 0.",
    "What is 3 + 4 in words?",
    "Is 91 a prime number?",
    "Convert 72 degrees Fahrenheit to Celsius.",
    "A train goes 60 km in 45 minutes. How fast is it?",
    "What is the square root of 225?",
    "Add 199 and 256.",
    "If I buy 3 apples at 40 cents each, what do I pay?",
    "What is 2^10?",
    "Evaluate (12 + 7) * 4 - 30.",
    "17*23",
    "128+256",
    "99-45*2",
    "1024/16",
    "3.5*2",
    "12+30-7",
    "250*4",
    "1000-1",
]


def open_text(n: int, seed: int) -> tuple[str, ...]:
    """n distinct prompts, at most about 500, in an order that the seed gives."""
    prompts = [
        *(f"What is the capital of {c}?" for c in _COUNTRIES),
        *(f"Name three cities in {c}." for c in _COUNTRIES),
        *(f"Explain {t} to a child." for t in _THINGS),
        *(f"How does {t} work? Answer in one paragraph." for t in _THINGS),
        *(f"What are the advantages and disadvantages of {t}?" for t in _THINGS),
        *(f"Write a short e-mail to {p} {e}." for p in _PEOPLE for e in _ERRANDS),
        *(f"Write a {tongue} function that {t}." for tongue in _LANGUAGES for t in _TASKS),
        *(f"Translate into {g}: {s}" for g in _TONGUES for s in _SENTENCES),
        *(f"Write a story of {k} sentences about {s}." for k in (3, 5, 10) for s in _STORIES),
        *_TALK,
        *_SUMS,
    ]
    assert len(set(prompts)) == len(prompts)
    rng = random.Random(seed)
    always = [*_TALK, *_SUMS]  # the rarest kinds are never left out
    rest = [p for p in prompts if p not in set(always)]
    rng.shuffle(rest)
    picked = [*always, *rest][:n]
    rng.shuffle(picked)
    return tuple(picked)
