//! What travels: messages (RFC 5322, MIME), read without a copy, edited without a scratch.
