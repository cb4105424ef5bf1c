//! Sends the message on standard input to those whom its header names: `send HOST:PORT [USER]`, the password of USER in the
//! environment as `SEND_PASSWORD`.

use std::io::Read;
use std::process::ExitCode;

use facteur::message::Message;
use facteur::net;
use facteur::sasl::{Credentials, Identity};
use facteur::smtp::ClientConfig;
use facteur::smtp::client::{Login, StartTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(server), true) =
        (arguments.first(), arguments.len() <= 2 && !arguments.iter().any(|word| word.starts_with('-')))
    else {
        eprintln!(
            "usage: send HOST:PORT [USER] < MESSAGE\n\nWith USER it logs in over TLS, with the password in SEND_PASSWORD."
        );
        return ExitCode::FAILURE;
    };
    match send(server, arguments.get(1)).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("send: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everybody got it.
async fn send(server: &str, user: Option<&String>) -> Result<bool, Box<dyn std::error::Error>> {
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets)?;
    let mut config = ClientConfig::new("localhost.localdomain")?;
    if let Some(user) = user {
        let password = std::env::var("SEND_PASSWORD").map_err(|_| "no password in SEND_PASSWORD")?;
        config.starttls = StartTls::Required;
        config.login = Some(Login::new(Identity::new(user.as_str()), Credentials::Password(password.into())));
    }
    let outcomes = net::send(server, config, &Message::parse(octets)).await?;
    for outcome in &outcomes {
        println!("{} {:?}: {}", outcome.to, outcome.stage, outcome.reply);
    }
    Ok(outcomes.iter().all(|outcome| outcome.is_delivered()))
}
