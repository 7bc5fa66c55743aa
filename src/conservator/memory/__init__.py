"""Experience: what ailed photographs, what was done about it, and how well that went.

An experience is a fingerprint, a plan and the gain that was measured. No pixels, no names and no places of files are
in it, and nothing is written unless somebody names a file for it.
"""

from conservator.memory.experience import Experience
from conservator.memory.fingerprint import Fingerprint
from conservator.memory.lessons import Change, Decision, Lesson
from conservator.memory.memory import Memory, Recollection, opened

__all__ = ["Change", "Decision", "Experience", "Fingerprint", "Lesson", "Memory", "Recollection", "opened"]
