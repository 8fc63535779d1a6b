// Package kubeapi is the little of the Kubernetes API that a cluster's keeper
// needs: reading, applying and watching objects as plain JSON. The official
// client would bring a thousand packages into a program that should compile in
// a second.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/pki"
)

// manager is the name under which applied fields are owned, and what the audit
// log knows this program by.
const manager = "tradewind-cluster"

// Client talks to one API server.
type Client struct {
	server string
	http   *http.Client
}

// New makes a client with the keeper's identity.
func New(server string, files layout.Files) (*Client, error) {
	pair, err := tls.LoadX509KeyPair(files.Certificate(pki.Keeper), files.Key(pki.Keeper))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(files.Certificate(pki.CA))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &Client{server: server, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
		ForceAttemptHTTP2: true,
	}}}, nil
}

// StatusError is an answer of the API server that is no success.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("API server: %d: %s", e.Code, e.Message) }

func (c *Client) send(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", manager)
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		var status struct{ Message string }
		if json.Unmarshal(text, &status) != nil || status.Message == "" {
			status.Message = strings.TrimSpace(string(text))
		}
		return nil, &StatusError{response.StatusCode, status.Message}
	}
	return response, nil
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	response, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// Get reads the object or list at path.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, into)
}

// Apply makes the object at path what the YAML in body says.
func (c *Client) Apply(ctx context.Context, path string, body []byte) error {
	query := "?force=true&fieldManager=" + manager
	return c.do(ctx, http.MethodPatch, path+query, "application/apply-patch+yaml", body, nil)
}

// Merge changes some fields of the object at path.
func (c *Client) Merge(ctx context.Context, path string, body []byte) error {
	return c.do(ctx, http.MethodPatch, path, "application/merge-patch+json", body, nil)
}

// Ready says whether the API server calls itself ready.
func (c *Client) Ready(ctx context.Context) bool {
	return c.do(ctx, http.MethodGet, "/readyz", "", nil, nil) == nil
}

// Event is one change that a watch reports.
type Event struct {
	Type   string
	Object json.RawMessage
}

// Watch calls back for every object at path, and again for every change to
// one, until the connection ends or ctx does.
func (c *Client) Watch(ctx context.Context, path string, each func(Event)) error {
	response, err := c.send(ctx, http.MethodGet, path+"?watch=true", "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	for decoder := json.NewDecoder(response.Body); ; {
		var event Event
		if err := decoder.Decode(&event); err != nil {
			return err
		}
		each(event)
	}
}
