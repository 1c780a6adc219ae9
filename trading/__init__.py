"""The host that ships with the library: feed, indicators, strategy and dashboard.

A bar and the reader of bar files are the library's own. Nothing else here knows the sidecar or the database;
``main_with_database.py`` puts them together.
"""
