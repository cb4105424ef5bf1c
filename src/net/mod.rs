//! The only place with sockets: the driver of machines, TLS, the accept loop.
