package supervise

import (
	"path/filepath"
	"testing"
	"time"

	"tradewind.dev/tests/cluster/internal/control"
)

// eventually polls, since processes take their time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func TestAKilledComponentComesBackAndAStoppedOneDoesNot(t *testing.T) {
	c := newComponent("sleeper", filepath.Join(t.TempDir(), "log"), []string{"sleep", "60"})
	go c.keep()
	state := func() string { return c.status().State }
	eventually(t, "first start", func() bool { return state() == "up" })

	if err := c.act(control.Kill); err != nil {
		t.Fatal(err)
	}
	eventually(t, "restart", func() bool { return state() == "up" && c.status().Restarts == 1 })

	if err := c.act(control.Freeze); err != nil || state() != "frozen" {
		t.Fatal(state(), err)
	}
	if err := c.act(control.Thaw); err != nil || state() != "up" {
		t.Fatal(state(), err)
	}
	if err := c.act(control.Stop); err != nil || state() != "stopped" {
		t.Fatal(state(), err)
	}
	eventually(t, "end of the process", func() bool { return c.act(control.Freeze) != nil })
	time.Sleep(4 * firstPause)
	if state() != "stopped" {
		t.Fatal("a stopped component came back")
	}
	if err := c.act(control.Start); err != nil {
		t.Fatal(err)
	}
	eventually(t, "start after stop", func() bool { return state() == "up" })
	if err := c.act(control.Stop); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownActionsAreRefused(t *testing.T) {
	c := newComponent("nothing", filepath.Join(t.TempDir(), "log"), nil)
	if err := c.act("tickle"); err == nil {
		t.Fatal("accepted")
	}
	if err := c.act(control.Kill); err == nil {
		t.Fatal("killed a process that is not there")
	}
}
