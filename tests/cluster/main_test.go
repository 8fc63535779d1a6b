package main

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/host"
	"tradewind.dev/tests/cluster/internal/machine"
)

func TestExitCodes(t *testing.T) {
	interrupted, cancel := context.WithCancel(context.Background())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		err  error
		code int
	}{
		{context.Background(), errors.New("anything"), exitFailed},
		{context.Background(), usagef("what?"), exitUsage},
		{context.Background(), &machine.MissingError{What: []string{"root"}}, exitMissing},
		{context.Background(), artifact.ErrNoSource, exitMissing},
		{context.Background(), &host.NotRunningError{Dir: "/x"}, exitNotRunning},
		{context.Background(), &host.RunningError{Dir: "/x"}, exitRunning},
		{context.Background(), flag.ErrHelp, 0},
		{interrupted, context.Canceled, exitInterrupted},
	} {
		if code := exitCode(test.ctx, test.err); code != test.code {
			t.Errorf("%v: %d, not %d", test.err, code, test.code)
		}
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	text := overview()
	for _, one := range commands {
		if !strings.Contains(text, "cluster "+one.name+" ") {
			t.Errorf("%s is not in the overview", one.name)
		}
		if err := one.run(context.Background(), []string{"--help"}); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s --help: %v", one.name, err)
		}
		err := one.run(context.Background(), []string{"--no-such-flag"})
		if exitCode(context.Background(), err) != exitUsage {
			t.Errorf("%s --no-such-flag: %v", one.name, err)
		}
	}
}

func TestFlagsAndArgumentsMix(t *testing.T) {
	for _, line := range []string{"a --dir x b", "--dir x a b", "a b --dir x"} {
		set, dir := newFlags("load")
		rest, err := parse(set, "load", strings.Fields(line))
		if err != nil || *dir != "x" || !slices.Equal(rest, []string{"a", "b"}) {
			t.Errorf("%s: %q %q %v", line, *dir, rest, err)
		}
	}
}

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{"/a/b-1": "/a/b-1", "/a b": "'/a b'", "/it's": `'/it'\''s'`} {
		if got := quote(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}
