//! Says what can be found out about the message on standard input: `verify --ip 192.0.2.1 --helo mail.example.org --from
//! ada@example.org < message.eml`. With `--zone FILE` it asks a zone file instead of the DNS.

use std::error::Error;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use facteur::address::Domain;
use facteur::auth::{Check, Report, Session};
use facteur::base::Timestamp;
use facteur::dns::Zone;
use facteur::message::Message;
use facteur::net::Resolver;
use facteur::smtp::ReversePath;

/// Checks SPF, DKIM, ARC and DMARC of the message on standard input, and the name of the client that brought it.
#[derive(Parser)]
struct Options {
    /// The address of the client that brought the message.
    #[arg(long)]
    ip: IpAddr,
    /// What the client called itself.
    #[arg(long)]
    helo: Option<Domain>,
    /// The reverse-path of the message; left out, it is null, as of a bounce.
    #[arg(long)]
    from: Option<facteur::address::Address>,
    /// Who checks: the name in the header field.
    #[arg(long, default_value = "localhost")]
    id: String,
    /// A zone file to ask instead of the DNS.
    #[arg(long)]
    zone: Option<PathBuf>,
    /// As if it were this second since 1970.
    #[arg(long)]
    now: Option<i64>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets)?;
    let sender = options.from.clone().map_or(ReversePath::Null, ReversePath::Address);
    let session = Session::new(options.ip, options.helo.clone(), sender);
    let now =
        options.now.map_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_secs() as i64), Ok)?;
    let check = Check::new(&session, &Message::parse(octets), Timestamp::from_unix(now));
    let report = match &options.zone {
        Some(path) => std::fs::read_to_string(path)?.parse::<Zone>()?.ask(check),
        None => Resolver::system()?.ask(check).await,
    };
    if options.json {
        println!("{}", json(&report, &options.id))
    } else {
        println!("{}", report.header(&options.id))
    }
    Ok(())
}

fn json(report: &Report, id: &str) -> serde_json::Value {
    let methods = report.header(id).methods.into_iter().map(|method| {
        let of = method.properties.into_iter().map(|of| (format!("{}.{}", of.kind, of.name), of.value));
        serde_json::json!({
            "method": method.name, "result": method.result, "reason": method.reason,
            "of": of.collect::<std::collections::BTreeMap<_, _>>(),
        })
    });
    let dmarc = &report.dmarc;
    let record = dmarc.record.as_ref().map(|record| String::from_utf8_lossy(&record.text).into_owned());
    serde_json::json!({
        "id": id, "methods": methods.collect::<Vec<_>>(),
        "dmarc": {
            "domain": dmarc.policy_domain.as_ref().map(ToString::to_string), "record": record,
            "aligned": dmarc.aligned.iter().map(|one| one.domain.to_string()).collect::<Vec<_>>(),
            "asked": dmarc.asked.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
    })
}
