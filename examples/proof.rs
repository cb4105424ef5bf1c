//! Prints what the mail hosts of a domain must prove before they get a message, by DANE and MTA-STS:
//! `cargo run --example proof example.org`. The name servers of this system must give DNSSEC signatures to who asks for them.

use std::error::Error;

use facteur::address::Domain;
use facteur::auth::tls_policy;
use facteur::dns::{Name, mx};
use facteur::net::{MtaSts, Resolver};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let domain: Domain = std::env::args().nth(1).ok_or("which domain?")?.parse()?;
    let resolver = Resolver::system()?;
    let targets = resolver.ask(mx::Lookup::new(&domain, 1)).await?;
    let name: Name = domain.to_ascii().ok_or("no domain of the DNS")?.parse()?;
    let kept = MtaSts::system(resolver.clone())?.policy(&resolver, &name).await;
    match (&kept.record, &kept.failure) {
        (Err(none), _) => println!("{none}"),
        (Ok(record), Some(failure)) => println!("mta-sts policy {}: {failure}", record.id),
        (Ok(record), None) => println!("mta-sts policy {}", record.id),
    }
    let policies = resolver.ask(tls_policy::Lookup::new(&domain, &targets, 25, kept.policy)).await;
    for (host, policy) in targets.hosts.iter().zip(policies) {
        let host = host.name.as_ref().map(ToString::to_string).unwrap_or_default();
        println!("{host}: {policy}\n  a message: {:?}\n  one with REQUIRETLS: {:?}", policy.demand(), policy.strict());
    }
    Ok(())
}
