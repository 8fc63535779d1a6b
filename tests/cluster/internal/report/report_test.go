package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesGetNoColour(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	output := New(file)
	step := output.Begin("build")
	step.Detail("%d packages", 3)
	step.End(nil)
	output.Begin("start").End(errors.New("no"))
	output.Fail(errors.New("nothing works"))
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\x1b") {
		t.Errorf("colour in %q", text)
	}
	for _, line := range []string{"build: done in 0.0 s\n", "start: failed in 0.0 s\n", "error: nothing works\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is not in %q", line, text)
		}
	}
}
