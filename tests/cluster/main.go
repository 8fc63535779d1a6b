// Command cluster brings up real Kubernetes clusters on one bare Linux
// machine: etcd, the control plane and any number of nodes, in namespaces of
// their own, for tests. Run it with --help for what it can do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/host"
	"tradewind.dev/tests/cluster/internal/machine"
	"tradewind.dev/tests/cluster/internal/report"
	"tradewind.dev/tests/cluster/internal/supervise"
)

// Exit codes, as the help text promises them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitMissing     = 3
	exitNotRunning  = 4
	exitRunning     = 5
	exitInterrupted = 130
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func usagef(format string, values ...any) error {
	return usageError{fmt.Errorf(format, values...)}
}

var output = report.New(os.Stderr)

func main() {
	// A shell that became root by "su" may not look where root's programs are.
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	if hidden(os.Args[1:]) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil {
		code := exitCode(ctx, err)
		if code == exitInterrupted {
			output.Say("interrupted; nothing is left behind")
		} else if code != 0 {
			output.Fail(err)
		}
		os.Exit(code)
	}
}

// hidden runs the parts of this program that run as processes of their own.
func hidden(arguments []string) bool {
	if len(arguments) != 2 {
		return false
	}
	var run func(string) error
	switch arguments[0] {
	case host.WatchCommand:
		run = host.Watch
	case supervise.Command:
		run = supervise.Run
	case supervise.PrepareCommand:
		run = supervise.PrepareNode
	default:
		return false
	}
	if err := run(arguments[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	return true
}

func exitCode(ctx context.Context, err error) int {
	var (
		usage      usageError
		missing    *machine.MissingError
		notRunning *host.NotRunningError
		running    *host.RunningError
	)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &missing), errors.Is(err, artifact.ErrNoSource):
		return exitMissing
	case errors.As(err, &notRunning):
		return exitNotRunning
	case errors.As(err, &running):
		return exitRunning
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return exitFailed
}

// dispatch finds the command and runs it.
func dispatch(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 || isHelp(arguments[0]) {
		if len(arguments) > 1 {
			return dispatch(ctx, []string{arguments[1], "--help"})
		}
		fmt.Print(overview())
		if len(arguments) == 0 {
			return usagef("no command given")
		}
		return nil
	}
	for _, one := range commands {
		if one.name == arguments[0] {
			return one.run(ctx, arguments[1:])
		}
	}
	return usagef("no command %q; cluster --help lists them", arguments[0])
}

func isHelp(word string) bool {
	return word == "help" || word == "-h" || word == "--help"
}

// parse reads flags and arguments in any order, since "load DIR --image X"
// and "load --image X DIR" should mean the same. It prints help when asked.
func parse(set *flag.FlagSet, name string, arguments []string) ([]string, error) {
	set.SetOutput(new(strings.Builder)) // errors are printed once, by main
	var rest []string
	for {
		err := set.Parse(arguments)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Print(help(name, set))
			return nil, err
		}
		if err != nil {
			return nil, usagef("cluster %s: %w; cluster %s --help explains", name, err, name)
		}
		if arguments = set.Args(); len(arguments) == 0 {
			return rest, nil
		}
		rest, arguments = append(rest, arguments[0]), arguments[1:]
	}
}

// newCache finds the source and, below it, the cache.
func newCache() (artifact.Cache, error) {
	source, err := artifact.Source()
	if err != nil {
		return artifact.Cache{}, err
	}
	return artifact.NewCache(source), nil
}
