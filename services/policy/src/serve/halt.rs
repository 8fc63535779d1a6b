//! Carries a halt of the policy to execution at once, beside the bar loop.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tradewind_wire::client::{ClientError, Patience, until_answered};
use tradewind_wire::v1;
use tradewind_wire::v1::execution_client::ExecutionClient;

use crate::control::Wanted;

/// Pause after a refusal: a halt is never given up.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// Tells execution about the halt of the spec, at the start and at every change, until it has heard.
pub async fn carry(execution: ExecutionClient<Channel>, mut wanted: watch::Receiver<Option<Wanted>>, stop: CancellationToken) {
    let mut told = None;
    loop {
        let halt = wanted.borrow_and_update().as_ref().map(|wanted| wanted.control.halt);
        if halt.is_some() && halt != told {
            // A newer state replaces one that execution has not heard of yet.
            tokio::select! {
                outcome = tell(&execution, halt == Some(true), &stop) => match outcome {
                    Ok(reply) => {
                        tracing::info!(halt, cancelled = reply.cancelled, "execution knows the halt of the spec");
                        told = halt;
                    }
                    Err(ClientError::Stopped { .. }) => return,
                    Err(error) => {
                        tracing::error!(%error, "execution does not take the halt of the spec, telling it again");
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

async fn tell(execution: &ExecutionClient<Channel>, halt: bool, stop: &CancellationToken) -> Result<v1::HaltReply, ClientError> {
    let reason = if halt { "spec.halt of the TradingPolicy" } else { "" };
    let request = v1::HaltRequest { halt, reason: reason.to_owned() };
    until_answered(
        "Execution.Halt",
        Patience::default(),
        stop,
        |_, _| {},
        || {
            let (mut client, request) = (execution.clone(), request.clone());
            async move { client.halt(request).await }
        },
    )
    .await
}
