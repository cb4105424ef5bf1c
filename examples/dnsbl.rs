//! Asks lists in the DNS about addresses and domains: `dnsbl --list zen.example.org --allow wl.example.net 192.0.2.99`. With
//! `--test` it asks for the test points of the lists alone, with `--zone FILE` a zone file instead of the DNS.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use facteur::auth::dnsbl::{Evaluation, Found, Holds, List, Lists, Origin, Subject, Verdict, What};
use facteur::dns::{Within, Zone};
use facteur::net::Resolver;

/// Asks lists of bad and of good addresses and domains, all at once, and adds up what they say. A list is its zone with, where
/// wanted, the answers that count and what they count: bl.example.org=127.0.0.[2..11]*3, or by bits bl.example.org&0.0.0.8*2.
#[derive(Parser)]
struct Options {
    /// What to ask about: addresses of IPv4 and IPv6, and domains.
    #[arg(required_unless_present = "test", value_parser = what)]
    what: Vec<What>,
    /// A list of addresses.
    #[arg(long, value_name = "ZONE")]
    list: Vec<List>,
    /// A list of domains; a domain is asked about with those above it.
    #[arg(long, value_name = "ZONE")]
    domain_list: Vec<List>,
    /// A list of good addresses that answers as dnswl.org does.
    #[arg(long, value_name = "ZONE")]
    allow: Vec<facteur::dns::Name>,
    /// Ask for the test points only: does each list list what it must, and not what it must not?
    #[arg(long)]
    test: bool,
    /// How many seconds to wait for answers.
    #[arg(long, default_value_t = 5)]
    patience: u64,
    /// A zone file to ask instead of the DNS.
    #[arg(long)]
    zone: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

fn what(text: &str) -> Result<What, facteur::base::ParseError> {
    text.parse().map(What::Address).or_else(|_| text.parse().map(What::Domain))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let of_domains = options.domain_list.into_iter().map(|mut list| {
        (list.holds, list.about) = (Holds::Domains, vec![Origin::Author]);
        list
    });
    let lists = options.list.into_iter().chain(of_domains).chain(options.allow.into_iter().map(List::trusted));
    let lists = Arc::new(Lists::new(lists));
    if lists.lists().is_empty() {
        return Err("no list: say --list, --domain-list or --allow".into());
    }
    let subjects = options.what.into_iter().filter(|_| !options.test).map(|what| match what {
        What::Address(_) => Subject::new(Origin::Client, what),
        What::Domain(_) => Subject::new(Origin::Author, what),
    });
    let evaluation = Evaluation::new(&lists, subjects, SystemTime::now().into());
    let verdict = match &options.zone {
        Some(path) => std::fs::read_to_string(path)?.parse::<Zone>()?.ask(evaluation),
        None => Resolver::system()?.ask(Within::new(evaluation, Duration::from_secs(options.patience))).await,
    };
    if options.json {
        println!("{}", json(&verdict));
        return Ok(());
    }
    verdict.tests.iter().for_each(|test| println!("{test}"));
    verdict.entries.iter().for_each(|entry| println!("{entry}"));
    if !options.test {
        println!("score {}", verdict.score);
    }
    Ok(())
}

fn json(verdict: &Verdict) -> serde_json::Value {
    let entries = verdict.entries.iter().map(|entry| {
        serde_json::json!({
            "what": entry.what.to_string(), "list": entry.zone.to_string(), "asked": entry.name.to_string(),
            "listed": matches!(entry.found, Found::Listed { .. }), "found": entry.found.to_string(), "weight": entry.weight,
        })
    });
    let tests = verdict.tests.iter().map(|test| {
        serde_json::json!({
            "list": test.zone.to_string(), "kind": test.kind.to_string(), "must": test.must.to_string(),
            "must_not": test.must_not.to_string(), "health": test.health.map(|health| health.to_string()),
        })
    });
    serde_json::json!({
        "score": verdict.score, "entries": entries.collect::<Vec<_>>(), "tests": tests.collect::<Vec<_>>(),
    })
}
