"""The roles that policies are made of, each a protocol with an embedded default.

The perceiver (`session.Perceiver`) says what is wrong, the scheduler in which order to treat it, the expert with which
steps, the critic (`quality.critic`) whether that helped. A planner gives all steps at once: a language model plays it;
a predictor does so in one pass of a small network; and experience says what helped before.
"""
