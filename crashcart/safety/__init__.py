"""What was broken is mended and what was started is stopped, whoever dies: fault log, injector, watchdog, recover.

Nothing is imported here: the watchdog must be ready at once.
"""
