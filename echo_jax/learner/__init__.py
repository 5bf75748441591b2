"""Hold what both products train with: a network around a cell, its loss, and one update.

random_tokens  random keys by purpose, and uniform tokens
network        one-hot vectors ─► a scan of the cell ─► logits
loss           cross-entropy, right answers, and their means
update         loss ─► gradient ─► one step of the optimizer; the loop over chunks of updates
recalibration  one factor for each head, fitted on answers that are not scored
token_frequencies   how frequent tokens are, alone and after others

The tutorial (`echo`) and the measure (`memory`) both stand on the learner. What only one of them
uses is part of that one: windows are in `echo.data`; the carried state and the cut gradient
are in `echo.training`.
"""
