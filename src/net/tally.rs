//! Counts sessions with mail hosts for the reports that domains ask for (RFC 8460).

use std::io;
use std::sync::PoisonError;

use rustls::CertificateError;

use crate::auth::mta_sts::Mode;
use crate::auth::tls_policy::Demand;
use crate::auth::tls_rpt::{Failure, FailureKind, Policy, PolicyKind};
use crate::dns::Name;
use crate::net::mta_sts::Found;
use crate::net::route::Stop;
use crate::net::session::Opened;
use crate::net::submit::{SendError, Sender};
use crate::smtp::Stage;

impl Sender {
    /// Counts what came of a session with one host.
    pub(super) fn count(&self, stop: &Stop, demand: &Demand, opened: &Result<Opened, SendError>) {
        let (Some(_), Some(domain), Some(policy)) = (&self.reports, &stop.policy.domain, stop.policy.reported()) else {
            return;
        };
        let fault = match (opened, demand) {
            (_, Demand::Refusal(refusal)) => Some((refusal.kind(), refusal.to_string())),
            (Ok(Opened::Ready(session)), _) => match session.tls() {
                Some(tls) => self.tested(stop, &tls.peer_certificates),
                None => Some((FailureKind::StartTlsNotSupported, String::new())),
            },
            (Ok(Opened::Refused(why)), _) if why.stage == Stage::StartTls => {
                Some((FailureKind::StartTlsNotSupported, why.reply.to_string()))
            }
            (Err(SendError::Tls(error)), _) => Some((handshake(error, demand), error.to_string())),
            // RFC 8460 §4.3.4: what passes is "not required to be reported".
            _ => return,
        };
        let fault = fault.map(|(kind, reason)| Failure {
            host: Some(stop.host.clone()),
            reason: Some(reason).filter(|reason| !reason.is_empty()),
            ..Failure::new(kind)
        });
        self.tell(domain, &policy, fault);
    }

    /// Counts a policy that could not be fetched (RFC 8461 §6).
    pub(super) fn count_fetch(&self, domain: &Name, found: &Found) {
        let Some(error) = &found.failure else { return };
        let fault = Failure { reason: Some(error.to_string()), ..Failure::new(error.kind()) };
        self.tell(domain, &Policy::new(PolicyKind::Sts, domain.as_str()), Some(fault));
    }

    fn tell(&self, domain: &Name, policy: &Policy, fault: Option<Failure>) {
        let Some(reports) = &self.reports else { return };
        let mut collector = reports.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            None => collector.success(domain, policy),
            Some(fault) => collector.failure(domain, policy, &[fault]),
        }
    }

    /// What is wrong with a host to which a policy in testing applies, and which has its mail nevertheless.
    fn tested(&self, stop: &Stop, chain: &[bytes::Bytes]) -> Option<(FailureKind, String)> {
        let named = stop.policy.mta_sts.as_ref().filter(|named| named.policy.mode == Mode::Testing)?;
        // Where DANE has the word the policy is not what is reported on.
        if stop.policy.reported().is_none_or(|policy| policy.kind != PolicyKind::Sts) {
            return None;
        }
        if !named.allows {
            return Some((FailureKind::ValidationFailure, "the policy does not name the host".to_owned()));
        }
        let error = self.verifying().ok()?.check(chain, &stop.host).err()?;
        Some((certificate(&error, &Demand::Authorities), error.to_string()))
    }
}

/// What reports call a handshake that failed.
fn handshake(error: &io::Error, demand: &Demand) -> FailureKind {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or(FailureKind::ValidationFailure, |error| certificate(error, demand))
}

/// RFC 8460 §4.3.1
fn certificate(error: &rustls::Error, demand: &Demand) -> FailureKind {
    let rustls::Error::InvalidCertificate(error) = error else { return FailureKind::ValidationFailure };
    match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            FailureKind::CertificateHostMismatch
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => FailureKind::CertificateExpired,
        // "did not adhere to the constraints specified in the MTA-STS or DANE policy": no record means it.
        CertificateError::UnknownIssuer if matches!(demand, Demand::Records(_)) => FailureKind::CertificateHostMismatch,
        _ => FailureKind::CertificateNotTrusted,
    }
}
