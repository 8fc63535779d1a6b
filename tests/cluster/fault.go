package main

import (
	"context"
	"fmt"
	"strings"

	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/host"
)

const processes = `
Processes are etcd, apiserver, controller-manager, scheduler, and for each node
containerdN, kubeletN and kube-proxyN.
`

const order = "The directory may also be the first argument, before the name.\n"

// faultCommands are those that break a cluster on purpose.
func faultCommands() []command {
	fault := func(action control.Action, what, summary, detail string) command {
		name := string(action)
		if what == "PROCESS" {
			detail += processes
		}
		return command{name, fmt.Sprintf("%s [--dir DIR] %s", name, what), summary, detail + order,
			func(_ context.Context, arguments []string) error { return runFault(action, what, arguments) }}
	}
	return []command{
		fault(control.Kill, "PROCESS", "kill one process; it is started again",
			"Sends SIGKILL and returns; the process is started again a tenth of a second later,\nand more slowly if it keeps dying.\n"),
		fault(control.Stop, "PROCESS", "kill one process and keep it down", "Sends SIGKILL. \"cluster start\" ends it.\n"),
		fault(control.Start, "PROCESS", "start a process that was stopped", "Ends what \"cluster stop\" began.\n"),
		fault(control.Freeze, "PROCESS", "make one process hang", "Sends SIGSTOP: its connections stay open and nothing answers. \"cluster thaw\" ends it.\n"),
		fault(control.Thaw, "PROCESS", "let a frozen process go on", "Ends what \"cluster freeze\" began.\n"),
		fault(control.Cut, "NODE", "unplug a node from the network", "Nothing reaches the node or its pods any more, nor leaves it. \"cluster mend\" ends it.\n"),
		fault(control.Mend, "NODE", "plug a node in again", "Ends what \"cluster cut\" began.\n"),
	}
}

func runFault(action control.Action, what string, arguments []string) error {
	name := string(action)
	set, dir := newFlags(name)
	rest, err := parse(set, name, arguments)
	if err != nil {
		return err
	}
	if *dir == "" && len(rest) == 2 {
		*dir, rest = rest[0], rest[1:]
	}
	if len(rest) != 1 {
		return usagef("cluster %s needs one %s; cluster %s --help names them", name, strings.ToLower(what), name)
	}
	spec, err := find(*dir)
	if err != nil {
		return err
	}
	_, err = host.Ask(spec, control.Request{Action: action, Target: rest[0]})
	return err
}
