package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/layout"
)

func TestResolveKnowsOneDirectoryByAllItsNames(t *testing.T) {
	real := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	want, err := Resolve(filepath.Join(real, "not", "yet"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(real)
	for _, name := range []string{filepath.Join(link, "not", "yet"), "not/yet", "not/./yet/"} {
		if got, err := Resolve(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestFindWithoutACluster(t *testing.T) {
	var missing *NotRunningError
	if _, err := Find(t.TempDir()); !errors.As(err, &missing) {
		t.Fatal(err)
	}
}

func TestGeneralNodesAloneGetTheLargeImage(t *testing.T) {
	images := firstImages(artifact.Cache{Dir: "/cache"})
	large := "/cache/images/kube.tar"
	if !slices.Contains(images(layout.Node{Kind: layout.General}), large) {
		t.Error("cluster DNS has no image")
	}
	if got := images(layout.Node{Kind: layout.Dedicated}); slices.Contains(got, large) || len(got) != len(artifact.Images)-1 {
		t.Error(got)
	}
}

func TestAClusterRunsWhenEachOfItsProcessesDoes(t *testing.T) {
	up, coming := control.Component{Name: "etcd", State: "up"}, control.Component{Name: "kube-proxy1", State: "restarting"}
	for _, test := range []struct {
		reply control.Reply
		want  bool
	}{
		{control.Reply{Phase: control.Running, Components: []control.Component{up}}, true},
		{control.Reply{Phase: control.Running, Components: []control.Component{up, coming}}, false},
		{control.Reply{Phase: "nodes", Components: []control.Component{up}}, false},
		{control.Reply{Phase: control.Running}, false},
	} {
		if got := allUp(test.reply); got != test.want {
			t.Errorf("%+v: %v", test.reply, got)
		}
	}
}

func TestLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\n\ntwo\nthree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := lastLines(path, 2); !slices.Equal(got, []string{"two", "three"}) {
		t.Error(got)
	}
	if got := lastLines(path+".none", 2); len(got) != 0 {
		t.Error(got)
	}
}

func TestARecordIsHeldByOneAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the registry belongs to root")
	}
	id := layout.ID(t.TempDir())
	own, err := acquire(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.write("/some where", 7); err != nil {
		t.Fatal(err)
	}
	if one, ok := lookup(id); !ok || !one.alive || one.dir != "/some where" || one.watcher != 7 {
		t.Errorf("%+v %v", one, ok)
	}
	if _, err := acquire(id); !errors.Is(err, errTaken) {
		t.Error(err)
	}
	own.remove()
	if _, ok := lookup(id); ok {
		t.Error("the record is still there")
	}
}
