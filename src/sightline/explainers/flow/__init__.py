"""The flows: what a decision was based on, followed through all layers of a network.

One forward is written on a tape (`tape`), affine maps are made one with the batch norms behind them (`affine`), and a
walk goes back (`walk`) with the rules of a method: the plain gradient (`vjp`), relevance (`relevance/`), or the
inverses of NAFlow (`naflow/`).
"""
