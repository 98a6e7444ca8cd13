//! Who may do what in a session.

use openline_hub::{Namespaces, Settings};

use super::*;
use crate::rights::{Act, Policies, Policy, Rights, Who};

/// Each identity, each right given to each kind of people: what it opens to a session, and nothing else.
#[test]
fn sessions_have_the_rights_that_are_given_to_them() {
    const ACTS: [(Act, &str); 4] = [
        (Act::Subscribe, r#"{"id":2,"subscribe":{"channel":"C"}}"#),
        (Act::Publish, r#"{"id":2,"publish":{"channel":"C","data":1}}"#),
        (Act::History, r#"{"id":2,"history":{"channel":"C","limit":1}}"#),
        (Act::Presence, r#"{"id":2,"presence_stats":{"channel":"C"}}"#),
    ];
    let ann = || Who::Users(["ann".into()].into());
    for (who, user, channel, may) in [
        (Who::Nobody, "", "a", false),
        (Who::Nobody, "ann", "a", false),
        (Who::Anyone, "", "a", true),
        (Who::Anyone, "ann", "a", true),
        (Who::Known, "", "a", false),
        (Who::Known, "ann", "a", true),
        (ann(), "ann", "a", true),
        (ann(), "eve", "a", false),
        (ann(), "", "a", false),
        (Who::Anyone, "ann", "#ann", true),
        (Who::Anyone, "eve", "#ann", false),
        (Who::Nobody, "ann", "#ann", false),
        (Who::Anyone, "ann", "elsewhere:a", false),
    ] {
        for (given, _) in ACTS {
            let mut rights = Rights::default();
            *match given {
                Act::Subscribe => &mut rights.subscribe,
                Act::Publish => &mut rights.publish,
                Act::History => &mut rights.history,
                _ => &mut rights.presence,
            } = who.clone();
            let settings = Settings { presence: true, ..Settings::default() };
            let namespaces = Namespaces::new(settings.clone()).with("elsewhere", settings);
            // A namespace has its own rights, here none, and not those of the others.
            let policies = Policies::new(Policy { rights, ..Policy::default() }).with("elsewhere", Policy::default());
            let site = Site::new(Config { policies, namespaces, ..Config::default() }, Table::default(), None).unwrap();
            for (act, command) in ACTS {
                let admission = Admission { identity: identity(user), ..Admission::default() };
                let arrival = Arrival { carried: Carried::Admission(Box::new(admission)), ..Arrival::default() };
                let mut bench = Bench::on(site.clone(), Transport::WebSocket, arrival);
                bench.say(CONNECT);
                let said = bench.say(&command.replace('C', channel));
                let expected = if may && act == given { Value::Null } else { json!(103) };
                assert_eq!(
                    said[0]["error"]["code"], expected,
                    "{given:?} is for {who:?}: {act:?} of {channel} by {user:?}"
                );
            }
        }
    }
}
