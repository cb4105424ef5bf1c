//! Is it who it says? Evaluators without a resolver inside.
