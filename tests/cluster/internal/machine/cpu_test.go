package machine

import (
	"slices"
	"testing"
)

func TestParseCPUs(t *testing.T) {
	got, err := ParseCPUs("0-2,5\n")
	if err != nil || !slices.Equal(got, []int{0, 1, 2, 5}) {
		t.Fatalf("got %v, %v", got, err)
	}
	if _, err := ParseCPUs("0-x"); err == nil {
		t.Fatal("a letter passed for a CPU")
	}
}

func TestFormatCPUs(t *testing.T) {
	if got := FormatCPUs([]int{0, 3, 4}); got != "0,3,4" {
		t.Fatal(got)
	}
}
