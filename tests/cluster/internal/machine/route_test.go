package machine

import "testing"

func TestParseRoutes(t *testing.T) {
	used, err := parseRoutes([]byte(`[{"dst":"default"},{"dst":"0.0.0.0/0"},{"dst":"192.0.2.0/24"},{"dst":"127.0.0.1"}]`))
	if err != nil {
		t.Fatal(err)
	}
	if len(used) != 2 || used[0].String() != "192.0.2.0/24" || used[1].String() != "127.0.0.1/32" {
		t.Fatal(used)
	}
	if used, err := parseRoutes(nil); err != nil || used != nil {
		t.Fatal(used, err)
	}
}
