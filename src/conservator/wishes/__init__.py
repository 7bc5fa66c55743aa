"""What the user asks for in words: read into plain data, understood or refused by name, never guessed. No model."""

from conservator.wishes.grammar import parse
from conservator.wishes.places import Place, place
from conservator.wishes.schema import Wish, Wishes

__all__ = ["Place", "Wish", "Wishes", "parse", "place"]
