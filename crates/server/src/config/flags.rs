//! Which key of the configuration file each flag of `openline serve` stands for.

/// A flag without its dashes, and the key.
pub(crate) const FLAGS: &[(&str, &str)] = &[
    ("listen", "server.listen"),
    ("host", "server.hosts"),
    ("allow-origin", "server.allowed_origins"),
    ("threads", "server.threads"),
    ("admin", "admin.listen"),
    ("trust-proxy", "proxies.trusted"),
    ("proxy-protocol", "proxies.protocol"),
    ("tls-cert", "tls.cert"),
    ("tls-key", "tls.key"),
    ("tls-client-ca", "tls.client_ca"),
    ("tls-self-signed", "tls.self_signed"),
    ("tls-timeout", "tls.timeout"),
    ("compression", "compression.mode"),
    ("compression-level", "compression.level"),
    ("compression-min-bytes", "compression.min_bytes"),
    ("compression-memory", "compression.memory"),
    ("max-connections", "limits.max_connections"),
    ("max-message-bytes", "limits.max_message_bytes"),
    ("max-frame-bytes", "limits.max_frame_bytes"),
    ("max-output-bytes", "limits.max_output_bytes"),
    ("max-head-bytes", "limits.max_head_bytes"),
    ("max-headers", "limits.max_headers"),
    ("head-timeout", "times.head_timeout"),
    ("ping-interval", "times.ping_interval"),
    ("pong-timeout", "times.pong_timeout"),
    ("message-timeout", "times.message_timeout"),
    ("write-timeout", "times.write_timeout"),
    ("close-timeout", "times.close_timeout"),
    ("shutdown-timeout", "times.shutdown_timeout"),
    ("drain-window", "times.drain_window"),
];

/// The flag that stands for a key, if one does.
pub(crate) fn of(path: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(_, key)| *key == path).map(|(flag, _)| *flag)
}
