"""The host that ships with the library.

``settings``, ``config``, ``command_line``  what a run depends on
``feed``, ``indicators``, ``strategy``, ``bar_loop``  from bars to signals
``ratings``, ``showing``, ``dashboard``, ``figures``, ``verdict``  what a run shows of itself
``stopping``, ``stop_bounds``, ``last_resort``, ``program``  how it is asked to end, and ends

It knows the library's public names and its sidecar; ``main_with_database.py`` puts all together.
"""
