//! The opening handshake, clause by clause (RFC 6455 §3, §4, §9.1, §10.2, §11.3; RFC 8441).

#![allow(clippy::unwrap_used)] // in helpers as well as in tests

mod messages;

mod any_input;
mod rfc_8441_extended_connect;
mod section_3_uris;
mod section_4_1_the_clients_request;
mod section_4_1_the_clients_validation;
mod section_4_2_1_reading_the_clients_request;
mod section_4_2_2_refusals;
mod section_4_2_2_the_servers_response;
mod section_9_1_extensions;
