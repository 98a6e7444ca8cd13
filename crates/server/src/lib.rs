//! openline, the server.
