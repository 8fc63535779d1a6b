package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/host"
	"tradewind.dev/tests/cluster/internal/layout"
)

// words collects the values of a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }

func (w *words) Set(word string) error {
	*w = append(*w, word)
	return nil
}

func runLoad(ctx context.Context, arguments []string) error {
	set, dir := newFlags("load")
	var archives words
	set.Var(&archives, "image", "`TAR` to import; more may follow it, or the flag be repeated")
	rest, err := parse(set, "load", arguments)
	if err != nil {
		return err
	}
	if *dir == "" && len(rest) > 0 && isDir(rest[0]) {
		*dir, rest = rest[0], rest[1:]
	}
	archives = append(archives, rest...)
	if len(archives) == 0 {
		return usagef("cluster load needs an image: cluster load --image TAR")
	}
	spec, err := find(*dir)
	if err != nil {
		return err
	}
	step := output.Begin(fmt.Sprintf("loading %d images on %d nodes", len(archives), len(spec.Nodes)))
	err = host.Load(ctx, spec, archives)
	step.End(err)
	return err
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func runImage(ctx context.Context, arguments []string) error {
	set := flag.NewFlagSet("image", flag.ContinueOnError)
	containerfile := set.String("containerfile", "", "`FILE` that says how the image is made")
	directory := set.String("context", "", "`DIR` whose files the image may use")
	tag := set.String("tag", "", "`TAG` that pods will use, such as tradewind.dev/operator:1")
	archive := set.String("output", "", "`TAR` to write")
	rest, err := parse(set, "image", arguments)
	if err == nil {
		err = alone("image", rest)
	}
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"containerfile": *containerfile, "context": *directory, "tag": *tag, "output": *archive} {
		if value == "" {
			return usagef("cluster image needs --%s; cluster image --help explains", name)
		}
	}
	cache, err := newCache()
	if err != nil {
		return err
	}
	return cache.BuildImage(ctx, artifact.Recipe{Containerfile: *containerfile, Context: *directory, Tag: *tag, Archive: *archive}, output)
}

func runKubeconfig(_ context.Context, arguments []string) error {
	set, dir := newFlags("kubeconfig")
	rest, err := parse(set, "kubeconfig", arguments)
	if err == nil {
		err = alone("kubeconfig", rest)
	}
	if err != nil {
		return err
	}
	spec, err := find(*dir)
	if err != nil {
		return err
	}
	fmt.Println(layout.Files{Root: spec.Dir}.Kubeconfig("admin"))
	return nil
}

func runKubectl(_ context.Context, arguments []string) error { return become("kubectl", arguments) }

func runHelm(_ context.Context, arguments []string) error { return become("helm", arguments) }

// become turns this process into a client of the cluster.
func become(program string, arguments []string) error {
	own, theirs := arguments, []string{}
	if dash := slices.Index(arguments, "--"); dash >= 0 {
		own, theirs = arguments[:dash], arguments[dash+1:]
	}
	set, dir := newFlags(program)
	rest, err := parse(set, program, own)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("write cluster %s -- %s", program, strings.Join(own, " "))
	}
	spec, err := find(*dir)
	if err != nil {
		return err
	}
	files := layout.Files{Root: spec.Dir}
	environment := append(withoutVariable(os.Environ(), "KUBECONFIG"), "KUBECONFIG="+files.Kubeconfig("admin"))
	err = syscall.Exec(files.Bin(program), append([]string{program}, theirs...), environment)
	return errors.Join(fmt.Errorf("run %s", filepath.Base(program)), err)
}

func withoutVariable(environment []string, name string) []string {
	return slices.DeleteFunc(environment, func(one string) bool { return strings.HasPrefix(one, name+"=") })
}
