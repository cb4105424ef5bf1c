//! What mailhost, mta, pop3d and imapd are made of, from the command line down.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use facteur::base::Secret;
use facteur::spool::{Queue, QueueConfig};

pub mod accounts;
pub mod auth;
pub mod config;
pub mod delivery;
pub mod dns;
pub mod guesses;
pub mod host;
pub mod imap;
pub mod intake;
pub mod log;
pub mod pop3;
pub mod record;
pub mod relay;
pub mod run;
pub mod setup;
pub mod smtp;

use config::{Config, Service};

#[derive(Parser)]
#[command(
    version,
    after_help = "Without --config it serves this machine only, with one user, demo, whose password it makes. --print-config \
                  lists what a config may say: routes, transports, the queue, TLS, users; [dns] with DNSSEC; [auth] with \
                  SPF, DKIM, DMARC, ARC and lists in the DNS, and the keys that sign."
)]
struct Arguments {
    /// The settings, in TOML
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder for the queue, the mailboxes, the certificate and the users; made where it is missing
    #[arg(long, value_name = "DIR", default_value = "mailhost-data")]
    data: PathBuf,
    /// Print every setting with its default, and end
    #[arg(long)]
    print_config: bool,
    /// Print what waits in the queue, and end
    #[arg(long)]
    mailq: bool,
    /// Read a password from standard input, print what is stored of it, and end
    #[arg(long)]
    hash_password: bool,
}

/// The program `name`, which serves these of the listeners in its config.
pub fn main(name: &'static str, about: &'static str, services: &[Service]) -> ExitCode {
    let matches = Arguments::command().name(name).about(about).get_matches();
    let done = match Arguments::from_arg_matches(&matches) {
        Err(error) => error.exit(),
        Ok(arguments) if arguments.print_config => {
            std::io::stdout().write_all(config::DEFAULT.as_bytes()).map_err(|error| error.to_string())
        }
        Ok(arguments) if arguments.hash_password => hash_password(),
        Ok(arguments) if arguments.mailq => mailq(&arguments),
        Ok(arguments) => Config::load(arguments.config.as_deref())
            .and_then(|config| run::run(name, config, &arguments.data, services)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn mailq(arguments: &Arguments) -> Result<(), String> {
    let config = Config::load(arguments.config.as_deref())?;
    let path = arguments.data.join(&config.queue.path);
    if !path.is_dir() {
        return Err(format!("{}: there is no queue", path.display()));
    }
    let fault = |error| format!("{}: {error}", path.display());
    let queue = Queue::open(QueueConfig::new(&path)).map_err(fault)?;
    print!("{}", queue.mailq().map_err(fault)?.brief());
    Ok(())
}

fn hash_password() -> Result<(), String> {
    if std::io::stdin().is_terminal() {
        eprintln!("The password, and then an end of file (Ctrl-D):");
    }
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password).map_err(|error| format!("standard input: {error}"))?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("an empty password is none".to_owned());
    }
    println!("{}", setup::hash(&Secret::from(password)));
    Ok(())
}
