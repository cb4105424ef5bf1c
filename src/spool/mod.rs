//! A message waiting to go: a durable queue in the form of sendmail's `qf` and `df` files.
