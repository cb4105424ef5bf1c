//! Every machine, every talk: turn by turn, pipelined, octet by octet and cut at random. Same events, same output.

mod talk;

#[path = "cut/imap.rs"]
mod imap;
#[path = "cut/mta_sts.rs"]
mod mta_sts;
#[path = "cut/pop3.rs"]
mod pop3;
#[path = "cut/sasl.rs"]
mod sasl;
#[path = "cut/smtp.rs"]
mod smtp;
#[path = "cut/smtp_client.rs"]
mod smtp_client;
