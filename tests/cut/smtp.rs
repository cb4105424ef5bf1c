//! The talks of tests/talks/smtp.
