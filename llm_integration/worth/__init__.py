"""Is a rating worth its price? What became of rated signals, and statistics that a sceptic accepts.

``resolve`` and ``resolve_many`` tell from bars how a signal ended, ``build_report`` says what follows for the
ratings, ``page`` shows it as one HTML file. Everything here is pure: files and PostgreSQL are read by
``python -m llm_integration worth``. Needs numpy, the extra ``[worth]``; ``import llm_integration`` does not
load it.
"""
