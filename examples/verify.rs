//! Says what can be found out about the message on standard input: `verify --ip 192.0.2.1 --helo mail.example.org --from
//! ada@example.org < message.eml`. With `--zone FILE` it asks a zone file instead of the DNS.

use std::error::Error;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use facteur::address::Domain;
use facteur::auth::{Check, Report, Session, dkim};
use facteur::base::Timestamp;
use facteur::dns::{Question, Zone};
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
        println!("{}\n\n{report}", report.header(&options.id))
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
    let text = |record: &[u8]| record.escape_ascii().to_string();
    let asked = |questions: &[Question]| questions.iter().map(ToString::to_string).collect::<Vec<_>>();
    let spf = [&report.spf_helo, &report.spf_mail_from].into_iter().flatten().map(|verdict| {
        serde_json::json!({
            "domain": verdict.domain, "result": verdict.outcome.to_string(),
            "reason": verdict.problem.map(|problem| problem.to_string()),
            "term": verdict.term.as_ref().map(|(domain, term)| format!("{term} of {domain}")),
            "record": verdict.record.as_deref().map(text), "asked": asked(&verdict.asked),
        })
    });
    let signatures = |verdicts: &[dkim::Verdict]| {
        let one = |verdict: &dkim::Verdict| {
            serde_json::json!({
                "domain": verdict.signature.as_ref().map(|signature| signature.domain.to_string()),
                "result": verdict.outcome.to_string(),
                "reason": verdict.problem.map(|problem| problem.to_string()),
                "record": verdict.record.as_deref().map(text), "asked": asked(verdict.asked.as_slice()),
            })
        };
        verdicts.iter().map(one).collect::<Vec<_>>()
    };
    serde_json::json!({
        "id": id, "methods": methods.collect::<Vec<_>>(),
        "spf": spf.collect::<Vec<_>>(), "dkim": signatures(&report.dkim),
        "arc": {
            "result": report.arc.outcome.to_string(),
            "reason": report.arc.problem.map(|problem| problem.to_string()),
            "signatures": signatures(&report.arc_signatures),
        },
        "iprev": {
            "result": report.iprev.outcome.to_string(), "name": report.iprev.name.as_ref().map(ToString::to_string),
            "asked": asked(&report.iprev.asked),
        },
        "dmarc": {
            "domain": dmarc.policy_domain.as_ref().map(ToString::to_string),
            "reason": dmarc.problem.map(|problem| problem.to_string()),
            "record": dmarc.record.as_ref().map(|record| text(&record.text)),
            "aligned": dmarc.aligned.iter().map(|one| one.domain.to_string()).collect::<Vec<_>>(),
            "asked": asked(&dmarc.asked),
        },
    })
}
