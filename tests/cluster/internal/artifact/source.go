// Package artifact builds what clusters run: the static Go binaries and the
// container images. Everything is built once into a cache directory and again
// only when what it is made from has changed.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tradewind.dev/tests/cluster/internal/report"
)

const moduleLine = "module tradewind.dev/tests/cluster"

// ErrNoSource says that the program's own source is not to be found, and with
// it no go.mod to build the binaries from.
var ErrNoSource = errors.New("cannot find the source of this program (tests/cluster): run it from inside the repository, or set TRADEWIND_CLUSTER_SOURCE")

// Source finds the directory of this module: the one the environment names, or
// else the nearest at or above this program's file or the working directory.
func Source() (string, error) {
	starts := []string{os.Getenv("TRADEWIND_CLUSTER_SOURCE")}
	if program, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(program))
	}
	if here, err := os.Getwd(); err == nil {
		starts = append(starts, here)
	}
	for _, start := range starts {
		if start == "" {
			continue
		}
		for dir := start; ; dir = filepath.Dir(dir) {
			for _, candidate := range []string{dir, filepath.Join(dir, "tests", "cluster")} {
				if isSource(candidate) {
					return candidate, nil
				}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", ErrNoSource
}

func isSource(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && strings.HasPrefix(string(text), moduleLine+"\n")
}

// Cache is where built things are kept.
type Cache struct {
	Source string // the module's directory
	Dir    string
}

// NewCache names the cache below the module's own directory.
func NewCache(source string) Cache {
	return Cache{Source: source, Dir: filepath.Join(source, ".build")}
}

// Path names a file in the cache.
func (c Cache) Path(parts ...string) string {
	return filepath.Join(append([]string{c.Dir}, parts...)...)
}

// lock keeps two builds from writing the same files. It waits for the other
// one, whose end may well make this one needless.
func (c Cache) lock(ctx context.Context, output *report.Output) (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(c.Path("lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	try := func() error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err = try(); errors.Is(err, syscall.EWOULDBLOCK) {
		step := output.Begin("waiting for another build to end")
		for errors.Is(err, syscall.EWOULDBLOCK) && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
			err = try()
		}
		step.End(err)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), errors.Join(ctx.Err(), err))
	}
	return func() { file.Close() }, nil
}

// fresh says whether a product was made from these very inputs.
func (c Cache) fresh(product, inputs string) bool {
	stamp, err := os.ReadFile(c.Path(product + ".stamp"))
	if err != nil || string(stamp) != inputs {
		return false
	}
	_, err = os.Stat(c.Path(product))
	return err == nil
}

func (c Cache) stamp(product, inputs string) error {
	return os.WriteFile(c.Path(product+".stamp"), []byte(inputs), 0o644)
}

// digest condenses what a product is made from: words as they are, files by
// their content.
func digest(words []string, files ...string) (string, error) {
	sum := sha256.New()
	for _, word := range words {
		fmt.Fprintf(sum, "%d:%s", len(word), word)
	}
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, file)
		file.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
