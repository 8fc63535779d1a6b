package artifact

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tradewind.dev/tests/cluster/internal/report"
)

func TestVersionsComeFromTheModule(t *testing.T) {
	source, err := Source()
	if err != nil {
		t.Fatal(err)
	}
	cache := NewCache(source)
	for _, program := range binaries {
		version, err := cache.moduleVersion(program.module)
		if err != nil || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: %q %v", program.name, version, err)
		}
	}
	if _, err := cache.moduleVersion("example.com/none"); err == nil {
		t.Error("a module that go.mod does not name has a version")
	}
}

func TestKubernetesVersionFlags(t *testing.T) {
	flags := kubernetesVersion("v1.35.4")
	for _, part := range []string{"version.gitVersion=v1.35.4", "version.gitMajor=1", "version.gitMinor=35"} {
		if !strings.Contains(flags, part) {
			t.Errorf("%s is not in %s", part, flags)
		}
	}
}

func TestEveryImageHasAContainerfileThatUsesItsContent(t *testing.T) {
	source, err := Source()
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range Images {
		text, err := os.ReadFile(filepath.Join(source, "images", image.Name+".Containerfile"))
		if err != nil {
			t.Error(err)
		}
		for name := range image.content {
			if !strings.Contains(string(text), "COPY "+name+" ") {
				t.Errorf("%s does not copy %s", image.Name, name)
			}
		}
		if !strings.Contains(string(text), "\nUSER ") {
			t.Errorf("%s runs as root", image.Name)
		}
	}
}

func TestFreshness(t *testing.T) {
	cache := Cache{Dir: t.TempDir()}
	if cache.fresh("thing", "a") {
		t.Error("fresh before it was made")
	}
	if err := cache.stamp("thing", "a"); err != nil {
		t.Fatal(err)
	}
	if cache.fresh("thing", "a") {
		t.Error("fresh without being there")
	}
	if err := os.WriteFile(cache.Path("thing"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if !cache.fresh("thing", "a") || cache.fresh("thing", "b") {
		t.Error("freshness does not follow the inputs")
	}
}

func TestDigestFollowsContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	of := func(text string, words ...string) string {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sum, err := digest(words, path)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	first := of("one", "a", "b")
	if first != of("one", "a", "b") || first == of("two", "a", "b") || first == of("one", "ab") {
		t.Error("the digest does not follow what it is of")
	}
}

func TestFollowKeepsComplaintsAndCountsPackages(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	step := report.New(null).Begin("building")
	defer step.End(nil)
	got := follow(strings.NewReader("k8s.io/api\n# k8s.io/kubectl\nx.go:1:2: undefined: y\n"), step)
	if string(got) != "# k8s.io/kubectl\nx.go:1:2: undefined: y" {
		t.Errorf("%q", got)
	}
}

func TestLinkOrCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("text"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := LinkOrCopy(from, to); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to); err != nil || string(text) != "text" {
		t.Fatal(string(text), err)
	}
}
