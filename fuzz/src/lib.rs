//! What the fuzz targets do. Each target in `fuzz_targets/` calls one function of this list; `tests/corpora.rs` of the
//! crate calls them all on everything under `corpus/`.

mod auth;
mod auth_reports;
mod base;
mod build;
mod dns;
mod edit;
mod fields;
mod imap;
mod imapdata;
mod lists;
mod message;
mod pop3;
mod report;
mod sasl;
mod smtp;
mod smtp_client;
mod spool;
mod store;
mod tnef;
mod transfer;
mod transport;

/// What a target does with an input.
pub type Target = fn(&[u8]);

/// Every target: its name, which is also its folder under `corpus/`, and what it does with an input.
#[rustfmt::skip] // one a line, so that new ones do not meet in a merge
pub const TARGETS: &[(&str, Target)] = &[
    ("address", base::address),
    ("date", base::date),
    ("imap_command", imap::command),
    ("imap_server", imap::server),
    ("pop3_command", pop3::command),
    ("pop3_server", pop3::server),
    ("bounce", spool::bounce),
    ("convert", edit::convert),
    ("qf", spool::qf),
    ("proxy", smtp::proxy),
    ("smtp_bdat", smtp::bdat),
    ("sasl_client", sasl::client),
    ("sasl_server", sasl::server),
    ("smtp_client", smtp_client::client),
    ("smtp_command", smtp::command),
    ("smtp_data", smtp::data),
    ("smtp_reply", smtp::reply),
    ("smtp_server", smtp::server),
    ("spool_content", spool::spool_content),
    ("dns_packet", dns::packet),
    ("dns_zone", dns::zone),
    ("imap_fetch", imapdata::fetch),
    ("imap_structure", imapdata::structure),
    ("maildir_name", store::maildir_name),
    ("mbox", store::mbox),
    ("uid_list", store::uid_list),
    ("fields", fields::fields),
    ("edit", edit::edit),
    ("tnef", tnef::tnef),
    ("message_build", build::build),
    ("report", report::report),
    ("message", message::message),
    ("text", message::text),
    ("transfer", transfer::transfer),
    ("spf_record", auth::spf_record),
    ("dkim", auth::dkim),
    ("authres", auth::authres),
    ("received_spf", auth::received_spf),
    ("arc", auth::arc),
    ("dmarc", auth::dmarc),
    ("dmarc_aggregate", auth_reports::dmarc_aggregate),
    ("redaction", auth_reports::redaction),
    ("tls_rpt", auth_reports::tls_rpt),
    ("tlsa", transport::tlsa),
    ("mta_sts", transport::mta_sts),
    ("dnsbl", lists::dnsbl),
    ("bimi", lists::bimi),
    ("auth_check", lists::check),
];

/// Runs the target of that name.
///
/// # Panics
/// Where the target finds a fault, or there is no target of that name.
pub fn run(name: &str, input: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(input);
}
