package control

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCallReachesASocketInADeepDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	listener, err := net.Listen("unix", "control.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go Serve(listener, func(r Request) Reply {
		if r.Target == "nobody" {
			return Reply{Error: "no component nobody"}
		}
		return Reply{Phase: Running}
	})
	path := filepath.Join(dir, "control.sock")
	if reply, err := Call(path, Request{Action: Status}); err != nil || reply.Phase != Running {
		t.Fatal(reply, err)
	}
	if _, err := Call(path, Request{Action: Kill, Target: "nobody"}); err == nil || err.Error() != "no component nobody" {
		t.Fatal(err)
	}
}
