//! A connection that takes so many streams in a time, whatever they are for.
//!
//! Streams that speak no protocol of ours never reach a behaviour, so nothing above counts them; each costs a
//! negotiation all the same. Here one that is one too many is left where it is until its time has come: the other side
//! waits, and beyond what yamux or QUIC hold ready (256 and 128 streams) new ones are refused. Nobody is at fault.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use tokio::time::{Sleep, sleep};

use super::{Rate, rate::Buckets};

/// A muxer with a bucket of its own.
pub(crate) struct Metered<M> {
    inner: M,
    /// Of one peer, the only one there is.
    bucket: Buckets<()>,
    /// Until the debt of the last stream is paid.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<M> Metered<M> {
    pub(crate) fn new(inner: M, rate: Rate) -> Self {
        Metered {
            inner,
            bucket: Buckets::new(rate, 1),
            pause: None,
        }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Metered<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let stream = ready!(Pin::new(&mut this.inner).poll_inbound(cx))?;
        let wait = this.bucket.charge((), 1.0, Instant::now());
        if !wait.is_zero() {
            this.pause = Some(Box::pin(sleep(wait)));
        }
        Poll::Ready(Ok(stream))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.inner).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io};

    use futures::{future::poll_fn, io::Cursor};
    use libp2p::core::muxing::StreamMuxerExt;

    use super::*;

    /// Has always another stream ready.
    struct Endless;

    impl StreamMuxer for Endless {
        type Substream = Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<Self::Substream>> {
            Poll::Ready(Ok(Cursor::default()))
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<Self::Substream>> {
            Poll::Ready(Ok(Cursor::default()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    /// Streams that come without waiting.
    async fn at_once(muxer: &mut Metered<Endless>, most: usize) -> usize {
        let count = |cx: &mut Context<'_>| {
            let taken = (0..most).take_while(|_| muxer.poll_inbound_unpin(cx).is_ready());
            Poll::Ready(Ok::<_, Infallible>(taken.count()))
        };
        poll_fn(count).await.unwrap_or_default()
    }

    #[tokio::test]
    async fn a_flood_of_streams_waits_and_own_streams_do_not() {
        let rate = Rate {
            per_s: 20.0,
            burst: 5.0,
        };
        let mut muxer = Metered::new(Endless, rate);
        // The last one is taken on credit.
        assert_eq!(at_once(&mut muxer, 50).await, 6);
        assert_eq!(at_once(&mut muxer, 50).await, 0);
        assert!(poll_fn(|cx| muxer.poll_outbound_unpin(cx)).await.is_ok());
        // Its time comes, and whoever waits is woken for it.
        assert!(poll_fn(|cx| muxer.poll_inbound_unpin(cx)).await.is_ok());
    }
}
