//! Questions to the DNS and what they were answered, without a socket.
