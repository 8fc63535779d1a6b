package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

// A command is one word after "cluster".
type command struct {
	name     string
	synopsis string
	summary  string
	detail   string
	run      func(ctx context.Context, arguments []string) error
}

// commands is filled by init, as their help refers back to it.
var commands []command

func init() {
	commands = []command{
		{"up", "up [--dir DIR] [--nodes LIST] [--with PID] [--install]", "bring a cluster up",
			`Brings up etcd, the API server with an audit log, the controllers, the
scheduler, cluster DNS, local storage and the nodes, and returns when all of
it is ready. The cluster then lives until "cluster down" ends it, or with --with
until the process named there ends, however it does.

Nodes are called node0, node1 and so on. A general node runs anything; a
dedicated one hands out exclusive CPUs and carries the label
tradewind.dev/dedicated=true and the taint tradewind.dev/dedicated=true:NoSchedule.
On a machine with fewer CPUs than nodes, dedicated nodes hand out the same ones:
right for tests of scheduling and pinning, wrong for figures of latency.

On failure, and on Ctrl-C, nothing is left behind but, after a failure, the logs.
`, runUp},
		{"down", "down [--dir DIR | --all]", "end a cluster and remove everything of it",
			`Ends the cluster and returns when its processes, mounts, interfaces, cgroups
and files are gone. It succeeds if there is no cluster. With --all it ends every
cluster of this machine, and clears away after those that died by themselves.
`, runDown},
		{"list", "list [--json]", "list the running clusters",
			"Also clears away after clusters that died by themselves.\n", runList},
		{"status", "status [--dir DIR]", "show the state of a cluster's processes",
			"Names every process that the fault commands know, its state and how often it was\nstarted again.\n", runStatus},
		{"load", "load [--dir DIR] --image TAR [TAR...]", "put images on all nodes",
			`Imports image archives, as "cluster image" or "docker save" write them, on every
node at once. Pods can then use them under their tag, with any tag but "latest"
or with imagePullPolicy IfNotPresent or Never.

The directory may also be the first argument: cluster load DIR --image TAR.
`, runLoad},
		{"image", "image --containerfile FILE --context DIR --tag TAG --output TAR", "build an image and write it to an archive",
			`Builds with buildah, without a daemon and without touching the machine's own
image store. Base images would have to be pulled; "FROM scratch" needs nothing.
`, runImage},
		{"build", "build", "build the programs and images that clusters run",
			`Builds Kubernetes and the NATS server from their Go modules, and the images
tradewind.dev/pause:1, kube:1, busybox:1 and nats:1 from these, into the cache
(.build in the source). It takes minutes the first time and nothing when all is
up to date. "cluster up" does the same by itself.
`, runBuild},
		{"kubectl", "kubectl [--dir DIR] -- ARGUMENT...", "run kubectl against a cluster",
			"Everything after -- goes to kubectl, whose exit code becomes this one's.\n", runKubectl},
		{"helm", "helm [--dir DIR] -- ARGUMENT...", "run helm against a cluster",
			"Everything after -- goes to helm, whose exit code becomes this one's.\n", runHelm},
		{"kubeconfig", "kubeconfig [--dir DIR]", "print the path of the administrator's kubeconfig",
			"For scripts: export KUBECONFIG=$(cluster kubeconfig).\n", runKubeconfig},
	}
	commands = append(commands, faultCommands()...)
}

const preamble = `cluster runs real Kubernetes clusters on this machine, for tests.

Usage:
`

const epilogue = `
Start with:
  cluster up                         a cluster of five nodes
  cluster kubectl -- get nodes       look at it
  cluster down                       end it, and everything of it

A cluster is known by its directory (--dir). Without one, it is .build/run in
the source of this program; any number of clusters can be up side by side.
"cluster COMMAND --help" explains one command.

Exit codes:
  0  done                            4  no cluster is up in that directory
  1  failed                          5  a cluster is already up there
  2  command line not understood   130  interrupted, and cleared away
  3  this machine lacks something, which the error names
`

func overview() string {
	var text strings.Builder
	text.WriteString(preamble)
	for _, one := range commands {
		fmt.Fprintf(&text, "  cluster %-12s %s\n", one.name, one.summary)
	}
	text.WriteString(epilogue)
	return text.String()
}

// help explains one command and its flags.
func help(name string, set *flag.FlagSet) string {
	var text strings.Builder
	for _, one := range commands {
		if one.name == name {
			fmt.Fprintf(&text, "Usage: cluster %s\n\n%s\n", one.synopsis, one.detail)
		}
	}
	text.WriteString("Flags:\n")
	set.VisitAll(func(f *flag.Flag) {
		kind, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&text, "  --%s\n        %s", strings.TrimSpace(f.Name+" "+kind), usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(&text, " (default %s)", f.DefValue)
		}
		text.WriteString("\n")
	})
	return text.String()
}
