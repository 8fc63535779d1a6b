//! Carries what stops a policy to execution at once, beside the bar loop.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tradewind_wire::client::{ClientError, Patience, until_answered};
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;

use super::live::Live;
use crate::control::Wanted;
use crate::record::Trading;
use crate::sequencer::Control;

/// Pause after a refusal: a halt is never given up.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// Tells execution what the spec says of trading, at the start and at every change, until it has heard: a halt stays until
/// it is lifted; `Off` and `Shadow` take working entries back and leave decisions as they are.
pub async fn carry(
    execution: ExecutionClient<Channel>,
    mut wanted: watch::Receiver<Option<Wanted>>,
    live: Live,
    stop: CancellationToken,
) {
    let mut told = None;
    loop {
        let control = wanted.borrow_and_update().as_ref().map(|wanted| wanted.control);
        if let Some(control) = control.filter(|_| control != told) {
            // A newer state replaces one that execution has not heard of yet.
            tokio::select! {
                outcome = tell(&execution, control, &live, &stop) => match outcome {
                    Ok(cancelled) => {
                        tracing::info!(?control, cancelled, "execution knows what the spec says of trading");
                        live.untold("");
                        told = Some(control);
                    }
                    Err(ClientError::Stopped { .. }) => return,
                    Err(error) => {
                        tracing::error!(%error, "execution does not take what the spec says of trading, telling it again");
                        live.untold(&error.to_string());
                        tokio::time::sleep(REFUSED_PAUSE).await;
                    }
                },
                changed = wanted.changed() => if changed.is_err() { return },
            }
            continue;
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

async fn tell(
    execution: &ExecutionClient<Channel>,
    control: Control,
    live: &Live,
    stop: &CancellationToken,
) -> Result<u32, ClientError> {
    if control.halt {
        return halt(execution, true, "spec.halt of the TradingPolicy", live, stop).await;
    }
    if control.trading == Trading::Paper {
        return halt(execution, false, "", live, stop).await;
    }
    withdraw(execution, control, live, stop).await
}

/// Takes working entries back as a halt does. The halt is lifted again: nothing is submitted any more, and the account
/// must not look restricted to decisions that are only recorded.
pub(super) async fn withdraw(
    execution: &ExecutionClient<Channel>,
    control: Control,
    live: &Live,
    stop: &CancellationToken,
) -> Result<u32, ClientError> {
    let reason = format!("spec.trading of the TradingPolicy is {:?}", control.trading);
    let cancelled = halt(execution, true, &reason, live, stop).await?;
    halt(execution, false, "", live, stop).await?;
    Ok(cancelled)
}

async fn halt(
    execution: &ExecutionClient<Channel>,
    halt: bool,
    reason: &str,
    live: &Live,
    stop: &CancellationToken,
) -> Result<u32, ClientError> {
    let request = v1::HaltRequest { halt, reason: reason.to_owned() };
    let waiting = |_, status: &tonic::Status| live.untold(status.message());
    let reply = until_answered("Execution.Halt", Patience::default(), stop, waiting, || {
        let (mut client, request) = (execution.clone(), request.clone());
        async move { client.halt(request).await }
    });
    Ok(reply.await?.cancelled)
}
