//! What holds for somebody: the nearest level that says something about a rate decides.
//!
//! ```text
//! server ─▶ host ─▶ route ─▶ namespace
//! ```
//!
//! What was done counts at the level that decided, and there alone: who may say ten things in a minute in one namespace may say ten
//! in another one that says so itself, and what neither says is counted for the server as a whole.

use std::net::IpAddr;
use std::sync::Arc;

use http::Request;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::time::Instant;

use super::addresses::Addresses;
use super::meter::{Meter, nanos};
use super::{By, Rate, RateOverrides, TooMuch, What};
use crate::counts::Limited;
use crate::edge::visitor::ClientAddress;

/// What is said in one place, and what addresses have used up of it.
#[derive(Debug, Default)]
pub(crate) struct Level {
    rates: RateOverrides,
    addresses: Addresses,
}

impl Level {
    /// `None`: nothing is said there.
    pub(crate) fn of(rates: &RateOverrides) -> Option<Arc<Self>> {
        let says_something = *rates != RateOverrides::default();
        says_something.then(|| Arc::new(Self { rates: rates.clone(), addresses: Addresses::default() }))
    }
}

/// What the connections of a server may do: the clock of all meters, and the count of what was too much.
#[derive(Debug)]
struct Server {
    level: Level,
    began: Instant,
    refused: Family<Limited, Counter>,
}

/// The levels that hold for somebody.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    route: Option<Arc<Level>>,
    host: Option<Arc<Level>>,
    server: Arc<Server>,
}

impl Allowance {
    /// What holds at all of a server; `refused` counts what is too much.
    pub(crate) fn new(rates: impl Into<RateOverrides>, refused: Family<Limited, Counter>) -> Self {
        let level = Level { rates: rates.into(), addresses: Addresses::default() };
        Self { route: None, host: None, server: Arc::new(Server { level, began: Instant::now(), refused }) }
    }

    /// The same at a host and a route, if they say anything.
    pub(crate) fn at(&self, host: Option<Arc<Level>>, route: Option<Arc<Level>>) -> Self {
        Self { route, host, server: self.server.clone() }
    }

    /// Takes so much from what an address may do in a time; `namespace`: of the channel, if it is about one.
    ///
    /// # Errors
    /// It is too much, and was counted.
    pub(crate) fn take(
        &self,
        namespace: Option<&Level>,
        what: What,
        address: IpAddr,
        amount: u64,
    ) -> Result<(), TooMuch> {
        let by = By::Address;
        let Some((level, rate)) = self.nearest(namespace, what, by) else { return Ok(()) };
        let taken = level.addresses.take(what, rate, address, amount, self.now());
        taken.map_err(|wait| self.refuse(TooMuch { what, by, rate, wait }))
    }

    /// Takes a connection of an address. `is_counted`: by the server, when it was accepted.
    ///
    /// # Errors
    /// It is too much, and was counted.
    pub(crate) fn connect(&self, address: IpAddr, is_counted: bool) -> Result<(), TooMuch> {
        let decides = self.nearest(None, What::Connects, By::Address);
        match decides.is_some_and(|(level, _)| std::ptr::eq(level, &self.server.level)) && is_counted {
            true => Ok(()),
            false => self.take(None, What::Connects, address, 1),
        }
    }

    /// The level that decides, unless it decides that there is no limit.
    fn nearest<'a>(&'a self, namespace: Option<&'a Level>, what: What, by: By) -> Option<(&'a Level, Rate)> {
        let levels = namespace.into_iter().chain(self.route.as_deref()).chain(self.host.as_deref());
        let mut said =
            levels.chain([&self.server.level]).filter_map(|level| Some((level, level.rates.said(what, by)?)));
        said.next().and_then(|(level, rate)| Some((level, rate?)))
    }

    /// Now, as meters count.
    fn now(&self) -> u64 {
        nanos(self.server.began.elapsed())
    }

    fn refuse(&self, too_much: TooMuch) -> TooMuch {
        let TooMuch { what, by, .. } = too_much;
        self.server.refused.get_or_create(&Limited { what: what.name(), by: by.name() }).inc();
        too_much
    }
}

/// What one line says, against what it and its address may.
#[derive(Clone, Debug)]
pub(crate) struct Spending {
    allowance: Allowance,
    address: IpAddr,
    /// Of messages, and of bytes.
    used: [Meter; 2],
}

impl Spending {
    fn new(allowance: Allowance, address: IpAddr) -> Self {
        Self { allowance, address, used: Default::default() }
    }

    /// Of whoever sends a request that was admitted.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let (allowance, ClientAddress(address)) =
            (request.extensions().get::<Allowance>()?, request.extensions().get()?);
        Some(Self::new(allowance.clone(), *address))
    }

    /// Whether anything of what lines say is limited, where no channel is.
    pub(crate) fn is_limited(&self) -> bool {
        self.is_limited_in(What::Messages) || self.is_limited_in(What::Bytes)
    }

    /// Whether this is.
    pub(crate) fn is_limited_in(&self, what: What) -> bool {
        [By::Connection, By::Address].iter().any(|by| self.allowance.nearest(None, what, *by).is_some())
    }

    /// A message of so many bytes, to a channel of this namespace, if it is one.
    ///
    /// # Errors
    /// It is too much, and was counted.
    pub(crate) fn message(&mut self, namespace: Option<&Level>, bytes: usize) -> Result<(), TooMuch> {
        let Self { allowance, address, used } = self;
        let by = By::Connection;
        for ((what, amount), meter) in [(What::Messages, 1), (What::Bytes, bytes as u64)].into_iter().zip(used) {
            if let Some((_, rate)) = allowance.nearest(namespace, what, by) {
                let taken = meter.take(rate, amount, allowance.now());
                taken.map_err(|wait| allowance.refuse(TooMuch { what, by, rate, wait }))?;
            }
            allowance.take(namespace, what, *address, amount)?;
        }
        Ok(())
    }

    /// So many bytes of a stream, of which nobody knows messages: all of them, or none.
    ///
    /// # Errors
    /// It is too much, and was counted.
    pub(crate) fn bytes(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let (what, by, amount) = (What::Bytes, By::Connection, bytes as u64);
        let mut used = self.used[1];
        if let Some((_, rate)) = self.allowance.nearest(None, what, by) {
            let taken = used.take(rate, amount, self.allowance.now());
            taken.map_err(|wait| self.allowance.refuse(TooMuch { what, by, rate, wait }))?;
        }
        self.take(None, what, amount)?;
        self.used[1] = used;
        Ok(())
    }

    /// So much of what is counted for the address alone, or of what did not come by a line.
    ///
    /// # Errors
    /// It is too much, and was counted.
    pub(crate) fn take(&self, namespace: Option<&Level>, what: What, amount: u64) -> Result<(), TooMuch> {
        self.allowance.take(namespace, what, self.address, amount)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rates::Rates;

    const fn hourly(amount: u64) -> Option<Rate> {
        Some(Rate { amount, per: Duration::from_secs(3600) })
    }

    fn messages(rate: Option<Rate>) -> RateOverrides {
        RateOverrides { messages_per_address: Some(rate), ..RateOverrides::default() }
    }

    /// How often somebody who has said nothing yet may say something.
    fn may(allowance: &Allowance, namespace: Option<&Level>, last: u8) -> usize {
        (0..100).take_while(|_| allowance.take(namespace, What::Messages, [192, 0, 2, last].into(), 1).is_ok()).count()
    }

    #[test]
    fn the_nearest_level_that_says_something_decides() {
        let server = Allowance::new(&Rates { messages_per_address: hourly(1), ..Rates::default() }, Family::default());
        let level = |amount| Level::of(&messages(hourly(amount)));
        let silent = Level::of(&RateOverrides { bytes_per_address: Some(hourly(1)), ..RateOverrides::default() });
        let namespace = level(5).unwrap();
        assert_eq!(may(&server, None, 1), 1);
        assert_eq!(may(&server.at(level(2), None), None, 2), 2);
        assert_eq!(may(&server.at(level(2), level(3)), None, 3), 3);
        assert_eq!(may(&server.at(level(2), level(3)), Some(&namespace), 4), 5);
        assert_eq!(may(&server.at(level(2), silent.clone()), silent.as_deref(), 5), 2, "who is silent does not decide");
        assert_eq!(may(&server.at(level(2), Level::of(&messages(None))), None, 6), 100, "off");
        assert!(Level::of(&RateOverrides::default()).is_none());
    }

    #[test]
    fn what_is_counted_for_one_level_is_not_for_another() {
        let server = Allowance::new(&Rates { messages_per_address: hourly(3), ..Rates::default() }, Family::default());
        let host = server.at(Level::of(&messages(hourly(2))), None);
        assert_eq!((may(&host, None, 1), may(&host.clone(), None, 1), may(&server, None, 1)), (2, 0, 3));
        assert_eq!(may(&server.at(None, None), None, 1), 0, "nobody else counts for themselves");
    }

    #[test]
    fn a_line_has_what_it_may_say_for_itself() {
        let rates = Rates { messages_per_connection: hourly(2), bytes_per_address: hourly(10), ..Rates::default() };
        let allowance = Allowance::new(&rates, Family::default());
        let line = || Spending::new(allowance.clone(), [192, 0, 2, 1].into());
        let (mut one, mut other) = (line(), line());
        assert!(one.message(None, 4).is_ok() && one.message(None, 4).is_ok());
        assert_eq!(one.message(None, 0).map_err(|it| (it.what, it.by)), Err((What::Messages, By::Connection)));
        assert_eq!(other.message(None, 4).map_err(|it| (it.what, it.by)), Err((What::Bytes, By::Address)));
        assert!(other.message(None, 0).is_ok() && other.take(None, What::Subscriptions, 1).is_ok());
    }
}
