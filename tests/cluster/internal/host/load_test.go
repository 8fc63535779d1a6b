package host

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// socketFile leaves a socket's file behind on which nobody listens, as a
// process does that was killed, or one that has bound it and not yet begun.
func socketFile(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := listenAt(path)
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
}

func listenAt(path string) (*net.UnixListener, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return net.ListenUnix("unix", &net.UnixAddr{Name: "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path), Net: "unix"})
}

func TestASocketsFileIsNoListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "containerd.sock")
	socketFile(t, path)
	err := awaitListener(context.Background(), "containerd of node7", path, 50*time.Millisecond)
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("nobody listens, and the answer is: %v", err)
	}
	for _, part := range []string{"containerd of node7", path, "connection refused"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message lacks %q: %v", part, err)
		}
	}
}

func TestAListenerIsWaitedFor(t *testing.T) {
	// Deeper than a socket's own path may be.
	path := filepath.Join(t.TempDir(), strings.Repeat("deep/", 25), "containerd.sock")
	socketFile(t, path)
	answered := make(chan error, 1)
	go func() { answered <- awaitListener(context.Background(), "containerd", path, time.Minute) }()
	select {
	case err := <-answered:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	listener, err := listenAt(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}

func TestWaitingForAListenerEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := awaitListener(ctx, "containerd", filepath.Join(t.TempDir(), "none.sock"), time.Minute)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
