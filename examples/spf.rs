//! Says what SPF makes of a client: `spf --ip 192.0.2.1 --helo mail.example.org --from ada@example.org`. With `--zone FILE` it
//! asks a zone file instead of the DNS.

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Parser;
use facteur::address::{Address, Domain};
use facteur::auth::{Session, spf};
use facteur::base::Timestamp;
use facteur::dns::{Answer, Question, Traced, Zone};
use facteur::net::Resolver;
use facteur::smtp::ReversePath;

/// Evaluates SPF for the HELO name and for the reverse-path of a client, and shows how the outcome came about.
#[derive(Parser)]
struct Options {
    /// The address of the client.
    #[arg(long)]
    ip: IpAddr,
    /// What the client calls itself.
    #[arg(long, required_unless_present = "from")]
    helo: Option<Domain>,
    /// The reverse-path of the message; left out, it is null, as of a bounce, and the HELO name counts.
    #[arg(long)]
    from: Option<Address>,
    /// Who checks: the name in the header field, and in explanations.
    #[arg(long, default_value = "localhost")]
    receiver: Domain,
    /// A zone file to ask instead of the DNS.
    #[arg(long)]
    zone: Option<PathBuf>,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let sender = options.from.map_or(ReversePath::Null, ReversePath::Address);
    let mut session = Session::new(options.ip, options.helo, sender);
    session.receiver = Some(options.receiver.clone());
    let zone: Option<Zone> = match &options.zone {
        Some(path) => {
            Some(std::fs::read_to_string(path)?.parse().map_err(|error| format!("{}: {error}", path.display()))?)
        }
        None => None,
    };
    let now = Timestamp::from(SystemTime::now());
    for evaluation in [session.spf_helo(now), session.spf_mail_from(now)].into_iter().flatten() {
        let (verdict, trace) = match &zone {
            Some(zone) => zone.ask(Traced::new(evaluation)),
            None => Resolver::system()?.ask(Traced::new(evaluation)).await,
        };
        let field = session.received_spf(&verdict, &options.receiver.to_string()).to_string().replace("\r\n", "\n");
        let lines =
            if options.json { json(&verdict, &trace, &field).to_string() } else { text(&verdict, &trace, &field) };
        println!("{lines}");
    }
    Ok(())
}

fn identity(verdict: &spf::Verdict) -> &'static str {
    if verdict.identity == spf::Identity::Helo { "helo" } else { "mailfrom" }
}

/// The records, or why there are none.
fn found(answer: &Answer) -> Vec<String> {
    match &answer.found {
        Ok(records) => records.iter().map(ToString::to_string).collect(),
        Err(failure) => vec![failure.to_string()],
    }
}

fn text(verdict: &spf::Verdict, trace: &[(Question, Answer)], field: &str) -> String {
    let mut lines = vec![format!("{} {}: {}", identity(verdict), verdict.domain, verdict.outcome)];
    lines.extend(verdict.term.iter().map(|(domain, term)| format!("  decided by {term} of {domain}")));
    lines.extend(verdict.problem.iter().map(|problem| format!("  since {problem}")));
    lines.extend(verdict.explanation.iter().map(|explanation| format!("  says \"{explanation}\"")));
    lines.extend(trace.iter().map(|(question, answer)| format!("  asked {question}: {}", found(answer).join(", "))));
    lines.join("\n") + "\n" + field
}

fn json(verdict: &spf::Verdict, trace: &[(Question, Answer)], field: &str) -> serde_json::Value {
    let asked = trace
        .iter()
        .map(|(question, answer)| serde_json::json!({"question": question.to_string(), "found": found(answer)}));
    let (domain, term) = verdict.term.as_ref().map(|(domain, term)| (domain.to_string(), term)).unzip();
    serde_json::json!({
        "identity": identity(verdict), "domain": verdict.domain, "outcome": verdict.outcome.to_string(),
        "decided_by": {"domain": domain, "term": term}, "problem": verdict.problem.map(|problem| problem.to_string()),
        "explanation": verdict.explanation, "asked": asked.collect::<Vec<_>>(), "received_spf": field,
    })
}
