"""crashcart tried on itself: does it stay quiet where nothing is wrong, and does it survive what it does to others?

Each part is a campaign: many cases, in each of which `crashcart run` is started as a process of its own.
"""
