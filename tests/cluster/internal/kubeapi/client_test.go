package kubeapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// answer starts a server on the loopback interface that plays API server.
func answer(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return &Client{server: server.URL, http: server.Client()}
}

func TestRefusalsCarryTheServersMessage(t *testing.T) {
	client := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","message":"not allowed"}`)
	})
	var status *StatusError
	if err := client.Get(context.Background(), "/api", nil); !errors.As(err, &status) || status.Code != 403 || status.Message != "not allowed" {
		t.Fatal(err)
	}
	if client.Ready(context.Background()) {
		t.Fatal("a refusal passed for readiness")
	}
}

func TestApplyForcesAndNamesItself(t *testing.T) {
	client := answer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPatch || r.URL.Query().Get("force") != "true" || r.URL.Query().Get("fieldManager") != manager {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.Header.Get("User-Agent") != manager || r.Header.Get("Content-Type") != "application/apply-patch+yaml" {
			t.Errorf("%v", r.Header)
		}
	})
	if err := client.Apply(context.Background(), "/api/v1/x", []byte("kind: X")); err != nil {
		t.Fatal(err)
	}
}

func TestWatchReportsUntilTheStreamEnds(t *testing.T) {
	client := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"type":"ADDED","object":{}}{"type":"MODIFIED","object":{}}`)
	})
	var seen []string
	err := client.Watch(context.Background(), "/x", func(e Event) { seen = append(seen, e.Type) })
	if !errors.Is(err, io.EOF) || len(seen) != 2 || seen[1] != "MODIFIED" {
		t.Fatal(seen, err)
	}
}
