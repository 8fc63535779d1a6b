//! Command line of the plugin; its help is its manual.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tradewind_crds::DurationText;
use tradewind_crds::policy_status::Phase;

/// See and steer Tradewind policies.
///
/// Reads status and edits spec; the operator does the rest. Everything that a verb changes can as well be changed
/// in Git: use --dry-run to see the edit.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-tradewind",
    bin_name = "kubectl tradewind",
    version,
    after_help = "Examples:
  kubectl tradewind status                        all policies of the namespace
  kubectl tradewind status indices                one policy: rollout, gates with their evidence, CPUs, what to do next
  kubectl tradewind wait indices                  until it is Healthy; says what happens on the way
  kubectl tradewind wait indices --for RolledBack --timeout 5m
  kubectl tradewind pause indices                 keep the rollout in its place
  kubectl tradewind promote indices               promote the candidate without waiting for its gates
  kubectl tradewind abort indices                 roll the candidate back
  kubectl tradewind halt --profile main           stop the account: no new risk from now on
  kubectl tradewind halt --profile main --off     lift the halt in force, by its id
  kubectl tradewind halt --profile main --now --reason 'wrong prices'
                                                  the same stop through the operator, in your name: beside the spec, not in it

Exit codes:
  0  done
  1  the API server refused or could not be reached
  2  the command line is wrong
  3  wait: the time is over
  4  wait: it ended otherwise (rolled back, stalled, deleted)
  5  there is nothing to do (no candidate to promote, already paused)"
)]
pub struct Cli {
    /// Namespace; without it the one of the kubeconfig context.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long, global = true)]
    pub context: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show policies, or one of them in full.
    Status(StatusArgs),
    /// Wait until a policy is in a phase, and say what happens on the way.
    Wait(WaitArgs),
    /// Keep the rollout of a policy in its place (spec.rollout.paused = true). A gate that fails still rolls back.
    Pause(VerbArgs),
    /// Let a paused rollout go on (spec.rollout.paused = false).
    Resume(VerbArgs),
    /// Promote the candidate without waiting for its gates (spec.rollout.promote = its bundle id).
    Promote(BundleArgs),
    /// Roll the candidate back (spec.rollout.abort = its bundle id). It stays out while it is named there.
    Abort(BundleArgs),
    /// Stop trading: of one policy (spec.halt), or of a whole account with --profile.
    Halt(HaltArgs),
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Name of the TradingPolicy; without it all of the namespace.
    pub name: Option<String>,
    /// Policies of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
}

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Name of the TradingPolicy.
    pub name: String,
    /// Phase to wait for: Pending, Verifying, Shadowing, Canary, Promoting, Healthy, RollingBack, RolledBack, Paused.
    /// Healthy also asks for the condition Ready.
    #[arg(long = "for", value_name = "PHASE", default_value = "Healthy", value_parser = phase)]
    pub phase: Phase,
    /// How long at most: 30s, 10m, 1h.
    #[arg(long, default_value = "10m", value_parser = span)]
    pub timeout: Duration,
}

/// Arguments of a verb on a policy.
#[derive(Debug, Args)]
pub struct VerbArgs {
    /// Name of the TradingPolicy.
    pub name: String,
    /// Print the edit instead of making it.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of a verb on a candidate.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// Name of the TradingPolicy.
    pub name: String,
    /// Bundle id; without it the candidate, or the bundle that was rolled back.
    #[arg(long)]
    pub bundle: Option<String>,
    /// Print the edit instead of making it.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `halt`.
#[derive(Debug, Args)]
pub struct HaltArgs {
    /// Name of the TradingPolicy to stop.
    #[arg(required_unless_present = "profile", conflicts_with = "profile")]
    pub name: Option<String>,
    /// Name of the RiskProfile whose account to stop. Works without the operator, within a second.
    #[arg(long)]
    pub profile: Option<String>,
    /// Lift the halt; that of an account by the id of the one in force.
    #[arg(long)]
    pub off: bool,
    /// Print the edit instead of making it.
    #[arg(long)]
    pub dry_run: bool,
    /// Call the risk process through the operator, in your name, instead of editing spec.halt. It stays halted until its id is
    /// acknowledged. Needs the verb `halt` on the profile and the role tradewind-halt in the operator's namespace.
    #[arg(long, requires = "profile", conflicts_with_all = ["name", "off", "dry_run"])]
    pub now: bool,
    /// With --now: why, for the journal and the status.
    #[arg(long, requires = "now", default_value = "kubectl tradewind halt --now")]
    pub reason: String,
    /// With --now: namespace of the operator.
    #[arg(long, requires = "now", default_value = "tradewind-system")]
    pub operator_namespace: String,
    /// With --now: show the operator a token of this service account of the profile's namespace, instead of the kubeconfig's.
    #[arg(long, requires = "now", value_name = "NAME")]
    pub service_account: Option<String>,
}

fn phase(text: &str) -> Result<Phase, String> {
    let named = Phase::ALL.iter().copied().find(|phase| phase.as_str().eq_ignore_ascii_case(text));
    named.map_or_else(|| text.parse(), Ok)
}

fn span(text: &str) -> Result<Duration, String> {
    let span: DurationText = text.parse().map_err(|error: tradewind_crds::units::ParseDurationError| error.to_string())?;
    Ok(Duration::from_millis(u64::try_from(span.millis()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn phases_are_read_in_any_case_and_a_wrong_one_lists_them() {
        let of = |text: &str| Cli::try_parse_from(["kubectl-tradewind", "wait", "indices", "--for", text]);
        assert!(matches!(of("rolledback").unwrap().command, Command::Wait(WaitArgs { phase: Phase::RolledBack, .. })));
        assert!(of("Done").unwrap_err().to_string().contains("Healthy"));
    }

    #[test]
    fn halt_needs_exactly_one_target() {
        assert!(Cli::try_parse_from(["kubectl-tradewind", "halt"]).is_err());
        assert!(Cli::try_parse_from(["kubectl-tradewind", "halt", "indices", "--profile", "main"]).is_err());
        assert!(Cli::try_parse_from(["kubectl-tradewind", "halt", "--profile", "main", "--off"]).is_ok());
        assert!(Cli::try_parse_from(["kubectl-tradewind", "halt", "--profile", "main", "--now"]).is_ok());
        for wrong in
            [vec!["indices", "--now"], vec!["--profile", "main", "--now", "--off"], vec!["--profile", "main", "--reason", "x"]]
        {
            assert!(Cli::try_parse_from(["kubectl-tradewind", "halt"].into_iter().chain(wrong.clone())).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_help_names_every_verb_and_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for word in ["status", "wait", "pause", "resume", "promote", "abort", "halt", "Exit codes", "--dry-run"] {
            assert!(help.contains(word), "{word} is not in the help");
        }
    }
}
