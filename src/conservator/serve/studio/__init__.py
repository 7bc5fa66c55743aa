"""The Studio: a photograph on a desk, edited step by step; a model that knows no web, and a page over it.

`draft.py` is what the user asks for, `history.py` what came of it, `desk.py` runs it; `page.py` and what it shows need
the extra `studio`.
"""
