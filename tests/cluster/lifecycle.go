package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/host"
	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/machine"
)

// newFlags makes a flag set with the one flag that nearly all commands have.
func newFlags(name string) (*flag.FlagSet, *string) {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	return set, set.String("dir", "", "`DIR` of the cluster; without it, .build/run in this program's source")
}

// chosen is the cluster's directory: the one given, or the default one.
func chosen(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	cache, err := newCache()
	return cache.Path("run"), err
}

// alone refuses arguments where none are expected.
func alone(name string, rest []string) error {
	if len(rest) > 0 {
		return usagef("cluster %s takes no argument such as %q", name, rest[0])
	}
	return nil
}

func runUp(ctx context.Context, arguments []string) error {
	set, dir := newFlags("up")
	nodeList := set.String("nodes", layout.DefaultNodes, "`LIST` of nodes, each general or dedicated")
	install := set.Bool("install", false, "install missing Debian packages first")
	timeout := set.Duration("timeout", 4*time.Minute, "`TIME` after which a cluster that is not ready has failed")
	with := set.Int("with", 0, "`PID` of a process: the cluster ends when it does")
	rest, err := parse(set, "up", arguments)
	if err == nil {
		err = alone("up", rest)
	}
	if err == nil && *with != 0 && syscall.Kill(*with, 0) != nil {
		err = usagef("--with %d: there is no such process", *with)
	}
	if err != nil {
		return err
	}
	nodes, err := layout.ParseNodes(*nodeList)
	if err != nil {
		return usageError{err}
	}
	path, err := chosen(*dir)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := equip(*install); err != nil {
		return err
	}
	cache, err := buildAll(ctx)
	if err != nil {
		return err
	}
	spec, err := host.Up(ctx, host.Options{Dir: path, Nodes: nodes, Cache: cache, Timeout: *timeout, With: *with, Output: output})
	if err != nil {
		return err
	}
	files := layout.Files{Root: spec.Dir}
	output.Say("up in %.1f s: %d nodes, API server at %s, audit log in %s", time.Since(begun).Seconds(), len(spec.Nodes), spec.Server(), files.Audit())
	fmt.Printf("export KUBECONFIG=%s PATH=%s:$PATH\n", quote(files.Kubeconfig("admin")), quote(filepath.Dir(files.Bin("kubectl"))))
	return nil
}

// quote makes a path safe to paste into a shell.
func quote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// equip checks the machine and, if asked to, installs what it lacks.
func equip(install bool) error {
	err := machine.Check()
	if err == nil || !install {
		return err
	}
	step := output.Begin("installing packages")
	failure := machine.Install(err, os.Stderr)
	step.End(failure)
	if failure != nil {
		return failure
	}
	return machine.Check()
}

func buildAll(ctx context.Context) (artifact.Cache, error) {
	cache, err := newCache()
	if err != nil {
		return cache, err
	}
	if err := cache.Binaries(ctx, output); err != nil {
		return cache, err
	}
	return cache, cache.Images(ctx, output)
}

func runBuild(ctx context.Context, arguments []string) error {
	set := flag.NewFlagSet("build", flag.ContinueOnError)
	install := set.Bool("install", false, "install missing Debian packages first")
	rest, err := parse(set, "build", arguments)
	if err == nil {
		err = alone("build", rest)
	}
	if err != nil {
		return err
	}
	if err := equip(*install); err != nil {
		return err
	}
	cache, err := buildAll(ctx)
	if err == nil {
		output.Say("up to date in %s", cache.Dir)
	}
	return err
}

func runDown(_ context.Context, arguments []string) error {
	set, dir := newFlags("down")
	all := set.Bool("all", false, "end every cluster of this machine")
	rest, err := parse(set, "down", arguments)
	if err == nil {
		err = alone("down", rest)
	}
	if err != nil {
		return err
	}
	if *all && *dir != "" {
		return usagef("cluster down takes --dir or --all, not both")
	}
	if *all {
		dirs, err := host.DownAll()
		for _, one := range dirs {
			output.Say("down: %s", one)
		}
		if len(dirs) == 0 && err == nil {
			output.Say("no cluster was up")
		}
		return err
	}
	path, err := chosen(*dir)
	if err != nil {
		return err
	}
	found, err := host.Down(path)
	switch {
	case err != nil:
		return err
	case found:
		output.Say("down: %s", path)
	default:
		output.Say("no cluster was up in %s", path)
	}
	return nil
}

func runList(_ context.Context, arguments []string) error {
	set := flag.NewFlagSet("list", flag.ContinueOnError)
	asJSON := set.Bool("json", false, "print JSON, with every process of every cluster")
	rest, err := parse(set, "list", arguments)
	if err == nil {
		err = alone("list", rest)
	}
	if err != nil {
		return err
	}
	// What cannot be cleared away is no reason to keep the list to oneself.
	swept := host.Sweep()
	list := host.List()
	if *asJSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return errors.Join(encoder.Encode(list), swept)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DIR\tSTATE\tNODES\tAPI SERVER\tAGE")
	for _, one := range list {
		age := time.Since(one.Created).Round(time.Second)
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", one.Dir, one.State, len(one.Nodes), one.Server, age)
	}
	return errors.Join(table.Flush(), swept)
}

func runStatus(_ context.Context, arguments []string) error {
	set, dir := newFlags("status")
	rest, err := parse(set, "status", arguments)
	if err == nil {
		err = alone("status", rest)
	}
	if err != nil {
		return err
	}
	spec, err := find(*dir)
	if err != nil {
		return err
	}
	reply, err := host.Ask(spec, control.Request{Action: control.Status})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROCESS\tSTATE\tRESTARTS")
	for _, one := range reply.Components {
		fmt.Fprintf(table, "%s\t%s\t%d\n", one.Name, one.State, one.Restarts)
	}
	return table.Flush()
}

// find is the running cluster that a command is about.
func find(dir string) (layout.Spec, error) {
	path, err := chosen(dir)
	if err != nil {
		return layout.Spec{}, err
	}
	return host.Find(path)
}
