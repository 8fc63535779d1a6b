package machine

import (
	"errors"
	"strings"
	"testing"
)

func fullMachine() probe {
	return probe{
		root:     func() bool { return true },
		has:      func(string) bool { return true },
		kernel:   func() []string { return nil },
		cgroups:  func() error { return nil },
		compiler: func() bool { return true },
	}
}

func TestCheckPassesOnAFullMachine(t *testing.T) {
	if err := fullMachine().check(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckNamesEverythingThatIsMissing(t *testing.T) {
	bare := fullMachine()
	bare.root = func() bool { return false }
	bare.has = func(what string) bool { return what != "ctr" && what != "containerd" && what != "ip" }
	bare.kernel = func() []string { return []string{"the kernel module overlay"} }
	bare.cgroups = func() error { return errors.New("no cgroups") }
	bare.compiler = func() bool { return false }
	err := bare.check()
	if err == nil {
		t.Fatal("a bare machine passed")
	}
	for _, part := range []string{
		"root:", "ctr (Debian package containerd)", "go:", "the kernel module overlay", "no cgroups",
		"apt-get install -y --no-install-recommends containerd iproute2",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in:\n%v", part, err)
		}
	}
}

func TestNoInstallLineWhenNoPackageHelps(t *testing.T) {
	user := fullMachine()
	user.root = func() bool { return false }
	if err := user.check(); err == nil || strings.Contains(err.Error(), "apt-get") {
		t.Fatalf("got %v", err)
	}
}
