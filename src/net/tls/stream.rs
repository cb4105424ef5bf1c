//! A connection before, in and after its handshake, and what is told of the session then.

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::{Accept, Connect, TlsAcceptor, TlsConnector, TlsStream};

use super::{Acceptor, Side};
use crate::base::Tls;
use crate::net::end_point::end_point;

/// A connection that may become encrypted. The encrypted forms are boxed, so that a plain one stays small.
pub(in crate::net) enum Stream<IO> {
    Plain(IO),
    /// With the server's certificate at the beginning of the handshake.
    Accepting(Box<Accept<IO>>, Acceptor, Arc<CertifiedKey>),
    /// With the name that was asked for, and whether it must be proved.
    Connecting(Box<Connect<IO>>, ServerName<'static>, bool),
    Secure(Box<TlsStream<IO>>),
    Closed,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Stream<IO> {
    /// Begins the handshake on a plain stream; any other is left as it is.
    pub(in crate::net) fn begin(&mut self, side: &Side) {
        *self = match (std::mem::replace(self, Self::Closed), side) {
            (Self::Plain(io), Side::Accept(acceptor)) => {
                let accept = TlsAcceptor::from(Arc::clone(&acceptor.config)).accept(io);
                Self::Accepting(Box::new(accept), acceptor.clone(), acceptor.identity.current())
            }
            (Self::Plain(io), Side::Connect(connector, name)) => {
                let connect = TlsConnector::from(Arc::clone(&connector.config)).connect(name.clone(), io);
                Self::Connecting(Box::new(connect), name.clone(), connector.verifies())
            }
            (other, _) => other,
        };
    }

    /// Goes on with the handshake.
    pub(in crate::net) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Tls>> {
        let result = match self {
            Self::Accepting(accept, ..) => Pin::new(accept.as_mut()).poll(cx).map_ok(TlsStream::Server),
            Self::Connecting(connect, ..) => Pin::new(connect.as_mut()).poll(cx).map_ok(TlsStream::Client),
            _ => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        let Poll::Ready(result) = result else { return Poll::Pending };
        let before = std::mem::replace(self, Self::Closed);
        let stream = result?;
        let mut tls = describe(&stream);
        match before {
            Self::Connecting(_, name, verified) => {
                tls.verified = verified;
                tls.server_name = Some(name.to_str().into_owned());
                tls.end_point = tls.peer_certificates.first().and_then(|certificate| end_point(certificate));
            }
            // Where the certificate was exchanged meanwhile, which of the two was shown is not known.
            Self::Accepting(_, acceptor, certified) if Arc::ptr_eq(&certified, &acceptor.identity.current()) => {
                tls.end_point = certified.cert.first().and_then(|certificate| end_point(certificate));
            }
            _ => {}
        }
        *self = Self::Secure(Box::new(stream));
        Poll::Ready(Ok(tls))
    }

    pub(in crate::net) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether there is something to write to or read from.
    pub(in crate::net) fn is_open(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Secure(_))
    }

    pub(in crate::net) fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    pub(in crate::net) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Says how much was read.
    pub(in crate::net) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        room: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(io) => pin!(io.read_buf(room)).poll(cx),
            Self::Secure(stream) => pin!(stream.read_buf(room)).poll(cx),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(in crate::net) fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_write(cx, octets),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, octets),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub(in crate::net) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Says that no more will be written: `close_notify` where the stream is encrypted, then the end of the stream.
    pub(in crate::net) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<IO> fmt::Debug for Stream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Accepting(..) | Self::Connecting(..) => "handshake",
            Self::Secure(_) => "secure",
            Self::Closed => "closed",
        })
    }
}

fn describe<IO>(stream: &TlsStream<IO>) -> Tls {
    let (_, session) = stream.get_ref();
    let mut tls = Tls::default();
    let version = session.protocol_version();
    tls.version = match version {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    };
    if let Some(suite) = session.negotiated_cipher_suite() {
        // rustls says TLS13_AES_256_GCM_SHA384 where IANA has TLS_AES_256_GCM_SHA384
        tls.cipher = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
    }
    tls.peer_certificates =
        session.peer_certificates().unwrap_or_default().iter().map(|der| Bytes::copy_from_slice(der)).collect();
    // RFC 9266 §3: with TLS 1.2 the binding needs the extended master secret, which a session does not tell of here.
    let exports = version == Some(rustls::ProtocolVersion::TLSv1_3);
    // RFC 9266 §2: label "EXPORTER-Channel-Binding", an empty context, 32 octets.
    let (label, context, space) = (b"EXPORTER-Channel-Binding", Some(&b""[..]), [0; 32]);
    let exporter = match stream {
        TlsStream::Server(stream) => {
            let (_, session) = stream.get_ref();
            tls.server_name = session.server_name().map(str::to_owned);
            exports.then(|| session.export_keying_material(space, label, context))
        }
        TlsStream::Client(stream) => exports.then(|| stream.get_ref().1.export_keying_material(space, label, context)),
    };
    tls.exporter = exporter.and_then(Result::ok).map(|octets| Bytes::copy_from_slice(&octets));
    tls
}
