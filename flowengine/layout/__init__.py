"""How a workflow is drawn: where its nodes stand and how its edges run. Pure: no I/O, no clock.

In layers (Sugiyama, Tagawa and Toda 1981): each node stands below all that it depends on. The same plan
gives the same picture. Nothing here knows what has become of a node.
"""
