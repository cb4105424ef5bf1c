//! The data folder: made on the first start, found as it was on every later one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use facteur::base::Secret;
use facteur::sasl::Verifier;

use super::config::{Config, User, Users, parse_toml};

/// What the first start made, and where things are.
pub struct Site {
    pub data: PathBuf,
    pub users: Vec<User>,
    /// What salts are made of for users that there are not.
    pub decoys: Secret,
    /// The file with the generated password of the user `demo`, where it is still there.
    pub demo_password: Option<PathBuf>,
}

/// Makes what is missing in the data folder: the folders, a self-signed certificate, and a user to try it with.
pub fn prepare(data: &Path, config: &Config) -> Result<Site, String> {
    let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    private_dir(data).map_err(|error| at(data, error))?;
    let (certificate, key) = (data.join(&config.tls.certificate), data.join(&config.tls.key));
    make_certificate(config, &certificate, &key)?;
    let password_file = data.join("demo.password");
    let mut users = config.users.clone();
    if users.is_empty() {
        let file = data.join("users.toml");
        if !file.exists() {
            make_demo(&file, &password_file)?;
        }
        let text = fs::read_to_string(&file).map_err(|error| at(&file, error))?;
        users = parse_toml::<Users>(&text, &file.display().to_string())?.users;
    }
    let decoys = data.join("decoys.secret");
    if !decoys.exists() {
        write_new(&decoys, Secret::random(32).expose()).map_err(|error| at(&decoys, error))?;
    }
    let decoys = Secret::from(fs::read(&decoys).map_err(|error| at(&decoys, error))?);
    let demo_password = password_file.exists().then_some(password_file);
    Ok(Site { data: data.to_owned(), users, decoys, demo_password })
}

/// A self-signed certificate, where there is none. The key comes first: a start that is cut off between the two goes on with it.
fn make_certificate(config: &Config, certificate: &Path, key: &Path) -> Result<(), String> {
    let fault = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if certificate.exists() {
        return Ok(());
    }
    if !key.exists() {
        let pair = rcgen::KeyPair::generate().map_err(|error| fault(key, &error))?;
        write_new(key, pair.serialize_pem().as_bytes()).map_err(|error| fault(key, &error))?;
    }
    let pem = fs::read_to_string(key).map_err(|error| fault(key, &error))?;
    let pair = rcgen::KeyPair::from_pem(&pem).map_err(|error| fault(key, &error))?;
    let names = vec![config.hostname.clone(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::CertificateParams::new(names).and_then(|params| params.self_signed(&pair));
    let made = made.map_err(|error| fault(certificate, &error))?;
    write_new(certificate, made.pem().as_bytes()).map_err(|error| fault(certificate, &error))
}

/// One user, `demo`, with a password that nobody has chosen. The password goes to a file of its own first: a start that
/// is cut off between the two makes both anew.
fn make_demo(users: &Path, password_file: &Path) -> Result<(), String> {
    let password = generate_password();
    let _ = fs::remove_file(password_file);
    write_new(password_file, format!("{password}\n").as_bytes())
        .map_err(|error| format!("{}: {error}", password_file.display()))?;
    let text = format!(
        "# The users of mailhost; mailhost --hash-password makes what stands in \"password\".\n\n[[users]]\nname = \"demo\"\npassword = \"{}\"\nmailbox = \"maildir/demo\"\n",
        hash(&Secret::from(password))
    );
    write_new(users, text.as_bytes()).map_err(|error| format!("{}: {error}", users.display()))
}

/// What is stored of a password.
pub fn hash(password: &Secret) -> String {
    Verifier::generate(password).to_string()
}

/// Four words' worth of luck: 20 letters and digits without the ones that look alike, 100 bits.
fn generate_password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567890";
    let random = Secret::random(20);
    random.expose().iter().map(|octet| char::from(ALPHABET[usize::from(octet % 32)])).collect()
}

/// Writes a file that only the owner reads, whole or not at all.
pub fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// Makes a folder that only the owner looks into, where it is not there.
fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
