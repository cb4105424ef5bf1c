//! SASL mechanisms (RFC 4422), both sides.
