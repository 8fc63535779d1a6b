package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tradewind.dev/tests/cluster/internal/child"
	"tradewind.dev/tests/cluster/internal/report"
)

// An Image is one that every cluster has from the start.
type Image struct {
	Name string
	// Everywhere is false for images that only general nodes run.
	Everywhere bool
	// content maps a name in the build context to where it comes from: a path,
	// a program in PATH, or, if empty, the cache.
	content map[string]string
}

// Images are tagged tradewind.dev/NAME:1 and exported to the cache.
var Images = []Image{
	{"pause", true, map[string]string{"catatonit": "catatonit"}},
	{"busybox", true, map[string]string{"busybox": "busybox"}},
	{"nats", true, map[string]string{"nats-server": ""}},
	{"kube", false, map[string]string{"kube": ""}},
}

// Tag is the image's name for pods.
func (i Image) Tag() string { return "tradewind.dev/" + i.Name + ":1" }

// Archive is the image as a file.
func (c Cache) Archive(image Image) string { return c.Path("images", image.Name+".tar") }

// Images brings the images up to date. The binaries must be so already.
func (c Cache) Images(ctx context.Context, output *report.Output) error {
	unlock, err := c.lock(ctx, output)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.MkdirAll(c.Path("images"), 0o755); err != nil {
		return err
	}
	c.sweep()
	for _, image := range Images {
		if err := c.image(ctx, image, output); err != nil {
			return fmt.Errorf("image %s: %w", image.Name, err)
		}
	}
	return nil
}

// sweep removes what killed builds left in the cache. Stores may belong to
// builds that are going on, unless they are old.
func (c Cache) sweep() {
	for _, pattern := range []string{"context-*", "store-*"} {
		matches, _ := filepath.Glob(c.Path(pattern))
		for _, match := range matches {
			if info, err := os.Stat(match); err == nil && time.Since(info.ModTime()) > time.Hour {
				_ = os.RemoveAll(match)
			}
		}
	}
}

func (c Cache) image(ctx context.Context, image Image, output *report.Output) error {
	containerfile := filepath.Join(c.Source, "images", image.Name+".Containerfile")
	files := []string{containerfile}
	directory, err := os.MkdirTemp(c.Dir, "context-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	for name, origin := range image.content {
		path, source := c.Path(name), c.Path(name+".stamp")
		if origin != "" {
			if path, err = exec.LookPath(origin); err != nil {
				return err
			}
			source = path
		}
		files = append(files, source)
		if err := LinkOrCopy(path, filepath.Join(directory, name)); err != nil {
			return err
		}
	}
	inputs, err := digest([]string{image.Tag()}, files...)
	if err != nil {
		return err
	}
	product := filepath.Join("images", image.Name+".tar")
	if c.fresh(product, inputs) {
		return nil
	}
	recipe := Recipe{Containerfile: containerfile, Context: directory, Tag: image.Tag(), Archive: c.Path(product)}
	if err := c.BuildImage(ctx, recipe, output); err != nil {
		return err
	}
	return c.stamp(product, inputs)
}

// A Recipe says how to make an image and where to put it.
type Recipe struct {
	Containerfile string
	Context       string
	Tag           string
	Archive       string
}

// BuildImage makes an image and writes it to an archive. It uses a store of
// its own, which it deletes afterwards: the machine's own store stays as it
// was, and builds side by side do not wait for each other.
func (c Cache) BuildImage(ctx context.Context, recipe Recipe, output *report.Output) (err error) {
	step := output.Begin("building image " + recipe.Tag)
	defer func() { step.End(err) }()
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return err
	}
	store, err := os.MkdirTemp(c.Dir, "store-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(store)) }()
	if err := buildah(ctx, store, "bud", "--isolation", "chroot", "-t", recipe.Tag, "-f", recipe.Containerfile, recipe.Context); err != nil {
		return err
	}
	// buildah refuses to add to an archive, and a reader may have the old one.
	fresh := recipe.Archive + ".new"
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := buildah(ctx, store, "push", recipe.Tag, "docker-archive:"+fresh+":"+recipe.Tag); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	return os.Rename(fresh, recipe.Archive)
}

// buildah runs with the vfs driver, which needs no mounts: nothing of it can
// outlive a build that is killed, but a directory in the cache.
func buildah(ctx context.Context, store string, arguments ...string) error {
	global := []string{
		"--root", filepath.Join(store, "root"),
		"--runroot", filepath.Join(store, "run"),
		"--storage-driver", "vfs",
	}
	command := exec.CommandContext(ctx, "buildah", append(global, arguments...)...)
	var text bytes.Buffer
	command.Stdout, command.Stderr = &text, &text
	if err := child.Run(command); err != nil {
		return fmt.Errorf("buildah %s: %w\n%s", arguments[0], err, bytes.TrimSpace(text.Bytes()))
	}
	return nil
}

// LinkOrCopy makes a second name for a file where that is possible, and a copy
// of it where it is not. The file may be large and executable.
func LinkOrCopy(from, to string) error {
	resolved, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if os.Link(resolved, to) == nil {
		return nil
	}
	text, err := os.ReadFile(resolved)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}
