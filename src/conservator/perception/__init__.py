"""What is wrong with a photograph and where: severity maps with confidence, and the regions they form."""

from conservator.perception.gate import Gate
from conservator.perception.perceiver import Perceiver, glimpse, looking_for, observe

__all__ = ["Gate", "Perceiver", "glimpse", "looking_for", "observe"]
