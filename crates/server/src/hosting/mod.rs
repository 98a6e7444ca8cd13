//! Hosting: what a team already has, each at a path of one server.
//!
//! ```text
//! Config::routes ─▶ Table ─▶ Place ─┬─▶ files, redirect, respond     plain HTTP
//!                  (host, path)     ├─▶ proxy                        plain HTTP, and lines to another server
//!                                   ├─▶ exec, tcp, echo              lines
//!                                   ├─▶ app                          plain HTTP and lines, in Rust
//!                                   └─▶ channel ─▶ doors
//! ```
//!
//! A route is settings; a place is what they became: what it has to share, counted and limited, for as long as the
//! server runs.

mod app;
mod arrive;
pub(crate) mod body;
mod dial;
mod entry;
mod exec;
mod files;
mod guest;
mod http;
mod place;
mod proxy;
mod reading;
mod redirect;
mod respond;
mod route;
mod table;
mod tcp;
mod template;
mod within;

pub(crate) use self::app::Call;
pub use self::app::{App, Leave};
pub(crate) use self::arrive::{Arrival, arrive};
pub use self::dial::{Address, BackendTls, InvalidAddress};
pub(crate) use self::exec::Groups;
pub use self::exec::{Exec, Frames, Sharing};
pub use self::files::Files;
pub(crate) use self::guest::Guest;
pub(crate) use self::http::respond;
pub(crate) use self::place::Found;
pub(crate) use self::proxy::Tunnel;
pub use self::proxy::{Health, HostHeader, InvalidUpstream, Proxy, Upstream};
pub use self::redirect::Redirect;
pub use self::respond::Respond;
pub use self::route::{Compression, Origins, Route, What};
pub use self::table::RouteError;
pub(crate) use self::table::Table;
pub use self::tcp::Tcp;
pub use self::template::InvalidTemplate;
