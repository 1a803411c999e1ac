"""Training and evaluating whole networks, on one machine or many: what `ravines train` and `ravines evaluate` run."""
