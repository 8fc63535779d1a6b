// Package host is the outside of clusters: it starts and ends them, finds
// those there are and clears away what dead ones left behind.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tradewind.dev/tests/cluster/internal/layout"
)

// registryDir holds one file for each cluster, which its watcher keeps locked.
// A file that nobody has locked is of a cluster that died without being
// cleared away: locks, unlike process ids, cannot be mistaken for another's.
const registryDir = "/run/tradewind-cluster"

// A record is one file of the registry, locked by this process.
type record struct {
	file *os.File
	path string
}

// An entry is what the registry says about one cluster.
type entry struct {
	id      string
	dir     string
	watcher int
	alive   bool
}

// errTaken says that a cluster is already there.
var errTaken = errors.New("taken")

// acquire locks the record of the cluster with the given id.
func acquire(id string) (*record, error) {
	path := filepath.Join(registryDir, id)
	for deadline := time.Now().Add(time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := os.MkdirAll(registryDir, 0o755); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the last cluster left, and the directory with it
		}
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && sameFile(file, path) {
			return &record{file, path}, nil
		}
		file.Close()
		// Whoever merely looks holds the lock for a moment, so try again.
		if err != nil && time.Now().After(deadline) {
			return nil, errTaken
		}
	}
}

// sameFile says whether a path still leads to an open file: the file may have
// been removed between the opening and the locking.
func sameFile(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

// write says whose record this is. A watcher of 0 means none so far.
func (r *record) write(dir string, watcher int) error {
	if err := r.file.Truncate(0); err != nil {
		return err
	}
	_, err := r.file.WriteAt([]byte(fmt.Sprintf("%d\n%s\n", watcher, dir)), 0)
	return err
}

// remove takes the record out of the registry, and the registry off the
// machine if this was the last one.
func (r *record) remove() {
	_ = os.Remove(r.path)
	_ = os.Remove(registryDir)
	r.file.Close()
}

// lookup reads the record of one cluster.
func lookup(id string) (entry, bool) {
	path := filepath.Join(registryDir, id)
	file, err := os.Open(path)
	if err != nil {
		return entry{}, false
	}
	defer file.Close()
	alive := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
	text, err := os.ReadFile(path)
	if err != nil {
		return entry{}, false
	}
	watcher, dir, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), "\n")
	number, _ := strconv.Atoi(watcher)
	return entry{id: id, dir: dir, watcher: number, alive: alive}, true
}

// entries reads the whole registry, by directory.
func entries() []entry {
	files, _ := os.ReadDir(registryDir)
	var found []entry
	for _, file := range files {
		if one, ok := lookup(file.Name()); ok {
			found = append(found, one)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].dir < found[j].dir })
	return found
}

// exclusively keeps two clusters from choosing the same address range.
func exclusively(do func() error) error {
	dir, err := os.Open(registryDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return do()
}

// Resolve makes a directory's name the one that everything is derived from,
// however the user came to write it.
func Resolve(dir string) (string, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// The directory need not exist; the part of it that does may hold links.
	for existing, rest := absolute, ""; ; {
		real, err := filepath.EvalSymlinks(existing)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || existing == filepath.Dir(existing) {
			return "", err
		}
		existing, rest = filepath.Dir(existing), filepath.Join(filepath.Base(existing), rest)
	}
}

// NotRunningError says that there is no cluster where one was expected.
type NotRunningError struct{ Dir string }

func (e *NotRunningError) Error() string {
	return "no cluster is up in " + e.Dir + " (cluster list shows those that are)"
}

// RunningError says that there is a cluster where none was expected.
type RunningError struct{ Dir string }

func (e *RunningError) Error() string {
	return "a cluster is already up in " + e.Dir + " (cluster down ends it)"
}

// Find reads the specification of the running cluster in dir.
func Find(dir string) (layout.Spec, error) {
	dir, err := Resolve(dir)
	if err != nil {
		return layout.Spec{}, err
	}
	if one, ok := lookup(layout.ID(dir)); !ok || !one.alive {
		return layout.Spec{}, &NotRunningError{dir}
	}
	spec, err := layout.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return spec, &NotRunningError{dir}
	}
	return spec, err
}
