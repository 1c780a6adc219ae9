"""The host that ships with the library: feed, indicators, strategy and dashboard.

Nothing here knows the sidecar or the database; ``main_with_database.py`` puts them together.
"""
