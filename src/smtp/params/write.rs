//! Parameters as they are written.

use std::fmt;

use super::xtext::Xtext;
use crate::address::unitext::Unitext;
use crate::smtp::{
    Body, ByMode, DeliverBy, Hold, MailParams, Notify, OriginalRecipient, RcptParams, Ret, ReversePath, Unsupported,
    ValidSince,
};

/// As they follow the path of MAIL, each with a space before it.
impl fmt::Display for MailParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        match self.body {
            Some(Body::SevenBit) => f.write_str(" BODY=7BIT")?,
            Some(Body::EightBitMime) => f.write_str(" BODY=8BITMIME")?,
            Some(Body::BinaryMime) => f.write_str(" BODY=BINARYMIME")?,
            None => {}
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        match self.ret {
            Some(Ret::Full) => f.write_str(" RET=FULL")?,
            Some(Ret::Hdrs) => f.write_str(" RET=HDRS")?,
            None => {}
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={}", Xtext(envid))?;
        }
        match &self.auth {
            Some(ReversePath::Null) => f.write_str(" AUTH=<>")?,
            Some(ReversePath::Address(address)) => write!(f, " AUTH={}", Xtext(&address.to_string()))?,
            None => {}
        }
        if let Some(by) = self.by {
            write!(f, " BY={by}")?;
        }
        match self.hold {
            Some(Hold::For(seconds)) => write!(f, " HOLDFOR={seconds}")?,
            Some(Hold::Until(point)) => write!(f, " HOLDUNTIL={}", point.rfc3339())?,
            None => {}
        }
        if let Some(priority) = self.priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if self.require_tls {
            f.write_str(" REQUIRETLS")?;
        }
        if let Some(solicit) = &self.solicit {
            write!(f, " SOLICIT={solicit}")?;
        }
        if self.convert {
            f.write_str(" CONPERM")?;
        }
        match &self.submitter {
            Some(address) => write!(f, " SUBMITTER={}", Xtext(&address.to_string())),
            None => Ok(()),
        }
    }
}

/// As they follow the path of RCPT, each with a space before it.
impl fmt::Display for RcptParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(notify) = self.notify {
            write!(f, " NOTIFY={notify}")?;
        }
        if let Some(orcpt) = &self.orcpt {
            write!(f, " ORCPT={orcpt}")?;
        }
        if let Some(rrvs) = &self.rrvs {
            write!(f, " RRVS={rrvs}")?;
        }
        if self.conneg { f.write_str(" CONNEG") } else { Ok(()) }
    }
}

/// The value of the parameter: `120;R`, `-5;NT`.
impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Notify => "N",
            ByMode::Return => "R",
        };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

/// The value of the parameter: `2014-04-03T23:01:00Z;C`.
impl fmt::Display for ValidSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let otherwise = match self.otherwise {
            None => "",
            Some(Unsupported::Reject) => ";R",
            Some(Unsupported::Continue) => ";C",
        };
        write!(f, "{}{otherwise}", self.since.rfc3339())
    }
}

/// The value of the parameter, encoded as its type wants it.
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind.eq_ignore_ascii_case("utf-8") {
            return write!(f, "{};{}", self.kind, Unitext(&self.address));
        }
        write!(f, "{};{}", self.kind, Xtext(&self.address))
    }
}

/// The value of the parameter: `NEVER`, `SUCCESS,FAILURE`.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (wanted, name) in [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")] {
            if wanted {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        if separator.is_empty() { f.write_str("NEVER") } else { Ok(()) }
    }
}
